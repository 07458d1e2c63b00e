/** The variables that hold credentials of this program's own: they stay out of the programs that it starts. */
import type { StoreConfig } from '../config/config.ts';
import type { Session } from './session.ts';
import type { ProgramWorld } from '../config/kinds.ts';

/** What an audit sink signs in with: the variables of the OpenTelemetry exporter. */
export const SINK_CREDENTIALS = [
  'OTEL_EXPORTER_OTLP_HEADERS',
  'OTEL_EXPORTER_OTLP_LOGS_HEADERS',
  'OTEL_EXPORTER_OTLP_CLIENT_KEY',
  'OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY',
] as const;

/** What ends the name of a credential, or of a file with one. */
const CREDENTIAL =
  '(TOKEN|SECRET|SECRET_ID|PASSWORD|PASSPHRASE|SESSION|HEADERS?|KEY|CREDENTIALS?|JWT|IDENTITY|COOKIE)(_FILE|_PATH)?';
/**
 * Beside what is declared: what secret managers, their plugins and libraries read by other names, or will. None of the clouds' namespaces, which
 * programs of all kinds use.
 */
const FAMILIES = new RegExp(
  `^(SECRETS|VAULT|BAO|CONJUR|OP|BW|BWS|LPASS|KEEPER|KSM|DOPPLER|INFISICAL|AKEYLESS|BITWARDEN|SOPS|OTEL_EXPORTER)_(.*_)?${CREDENTIAL}$|^OP_SESSION_`,
);
const NAMED_AS_CREDENTIAL = new RegExp(`(^|_)${CREDENTIAL}$`);

/**
 * All of them: what the providers and the sinks declare, what trusted stores hand to their plugins and call a
 * credential, and what the environment has of the families above.
 */
export function ownCredentials(
  { providers, env }: Pick<ProgramWorld, 'providers' | 'env'>,
  stores: Iterable<Pick<StoreConfig, 'settings' | 'untrusted'>> = [],
): ReadonlySet<string> {
  const handed = [...stores].flatMap(({ settings, untrusted }) =>
    untrusted === undefined && Array.isArray(settings['env']) ? (settings['env'] as readonly string[]) : [],
  );
  return new Set([
    ...providers.flatMap(({ credentialVariables }) => credentialVariables),
    ...SINK_CREDENTIALS,
    ...handed.filter((name) => NAMED_AS_CREDENTIAL.test(name)),
    ...Object.keys(env).filter((name) => FAMILIES.test(name)),
  ]);
}

/** The same for a session, with the stores of its configuration. */
export async function sessionCredentials(session: Session): Promise<ReadonlySet<string>> {
  return ownCredentials(session.world, (await session.config()).stores.values());
}
