import { SecretsError } from '../../core/errors.ts';
import { tell } from '../../output/outcome.ts';
import { requireMethod } from '../../providers/capabilities/require.ts';
import type { Session } from '../../session/session.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Invocation } from '../command.ts';

interface RekeyOptions extends CommonOptions {
  readonly method?: string;
  readonly addRecipient?: readonly string[];
  readonly removeRecipient?: readonly string[];
  readonly merge?: readonly string[];
  readonly dryRun?: boolean;
}

export async function run(session: Session, { args, options }: Invocation<RekeyOptions>): Promise<void> {
  const store = args[0] ?? 'local';
  const provider = await session.open(store);
  const rekey = requireMethod(
    provider,
    'rekey',
    `store ${store} does not hold its own key`,
    'its service renews keys',
  );
  if (options.dryRun === true) {
    const { source } = await provider.identity(session.call());
    await tell(session, {
      text: `${store}: would get a new key (now: ${source})`,
      json: { store, resealed: 0 },
      dryRun: true,
    });
    return;
  }
  const { addRecipient, removeRecipient, method, merge } = options;
  if (method !== undefined && method !== 'age' && (addRecipient ?? removeRecipient) !== undefined) {
    throw new SecretsError('Usage', 'recipients belong to the method age');
  }
  const change = { method, addRecipients: addRecipient, removeRecipients: removeRecipient, merge };
  const { resealed } = await rekey(change, session.call());
  await tell(session, {
    text: `${store}: new key, ${resealed} entries sealed anew`,
    json: { store, resealed },
    dryRun: false,
  });
}
