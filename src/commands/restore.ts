import { SecretsError } from '../core/errors.ts';
import { tell } from '../output/outcome.ts';
import { versionJson } from '../output/shapes.ts';
import { requireMethod } from '../providers/capabilities/require.ts';
import type { Session } from '../session/session.ts';
import type { CommonOptions } from '../session/options.ts';
import type { Invocation } from './command.ts';
import { type Opened, withSecret } from './with-secret.ts';

interface RestoreOptions extends CommonOptions {
  readonly version?: string;
  readonly dryRun?: boolean;
}

export async function run(session: Session, { args, options }: Invocation<RestoreOptions>): Promise<void> {
  const { version } = options;
  const dryRun = options.dryRun === true;
  await withSecret(session, args[0] as string, async (opened) => {
    if (version === undefined) await undelete(session, opened, dryRun);
    else await bringBack(session, opened, version, dryRun);
  });
}

async function undelete(
  session: Session,
  { provider, name, target, store }: Opened,
  dryRun: boolean,
): Promise<void> {
  const restore = requireMethod(
    provider,
    'restore',
    `${store} can’t undo a deletion`,
    'secrets put writes the secret again',
  );
  const reference = target.text;
  if (dryRun) {
    const { deletedAt } = await provider.describe(name, session.call());
    if (deletedAt === undefined)
      throw new SecretsError('NotFound', 'is not deleted, so there is nothing to restore');
  } else {
    await restore(name, session.call());
  }
  const text = `${reference}: ${dryRun ? 'would be restored' : 'restored'}`;
  await tell(session, { text, json: { reference, restored: !dryRun }, dryRun });
}

async function bringBack(
  session: Session,
  { provider, name, target, store }: Opened,
  version: string,
  dryRun: boolean,
): Promise<void> {
  const missing = `${store} keeps no old versions`;
  const makeCurrent = requireMethod(provider, 'makeCurrent', missing, 'secrets put writes the value again');
  const reference = target.text;
  if (dryRun) {
    const [found] = await provider.get([{ name, version }], session.call());
    if (found?.ok === false) throw found.error;
    const text = `${reference}: version ${version} would become the current one`;
    await tell(session, { text, json: { reference, version }, dryRun });
    return;
  }
  const current = await makeCurrent(name, version, session.call());
  const text = `${reference}: version ${current.id} is current`;
  await tell(session, { text, json: { reference, ...versionJson(current) }, dryRun });
}
