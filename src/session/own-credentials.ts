/** The variables that contain this program's own credentials. They aren't passed to the programs that it starts. */
import type { StoreConfig } from '../config/config.ts';
import type { Session } from './session.ts';
import type { ProgramWorld } from '../config/kinds.ts';

/** Credentials of audit sinks: variables of the OpenTelemetry exporter. */
export const SINK_CREDENTIALS = [
  'OTEL_EXPORTER_OTLP_HEADERS',
  'OTEL_EXPORTER_OTLP_LOGS_HEADERS',
  'OTEL_EXPORTER_OTLP_CLIENT_KEY',
  'OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY',
] as const;

/** With these, a job of GitHub Actions gets an OpenID Connect token for any audience, and so each of its sign-ins. */
const JOB_CREDENTIALS = ['ACTIONS_ID_TOKEN_REQUEST_URL', 'ACTIONS_ID_TOKEN_REQUEST_TOKEN'];

/** The ending of a variable that names a credential, or a file that contains one. */
const CREDENTIAL =
  '(TOKEN|SECRET|SECRET_ID|PASSWORD|PASSPHRASE|SESSION|HEADERS?|KEY|CREDENTIALS?|JWT|IDENTITY|COOKIE)(_FILE|_PATH)?';
/**
 * In addition to what is declared: other variables that secret managers, their plugins and libraries read now or may
 * read later. Not the clouds' prefixes, because all kinds of programs use those.
 */
const FAMILIES = new RegExp(
  `^(SECRETS|VAULT|BAO|CONJUR|OP|BW|BWS|LPASS|KEEPER|KSM|DOPPLER|INFISICAL|AKEYLESS|BITWARDEN|SOPS|OTEL_EXPORTER)_(.*_)?${CREDENTIAL}$|^OP_SESSION_`,
);
const NAMED_AS_CREDENTIAL = new RegExp(`(^|_)${CREDENTIAL}$`);

/**
 * All of them: variables that providers and sinks declare, variables that trusted stores pass to their plugins and
 * that are named like credentials, and variables of the families above that are set.
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
    ...JOB_CREDENTIALS,
    ...handed.filter((name) => NAMED_AS_CREDENTIAL.test(name)),
    ...Object.keys(env).filter((name) => FAMILIES.test(name)),
  ]);
}

/** The same for a session, including the stores of its configuration. */
export async function sessionCredentials(session: Session): Promise<ReadonlySet<string>> {
  return ownCredentials(session.world, (await session.config()).stores.values());
}
