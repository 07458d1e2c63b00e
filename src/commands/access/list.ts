import type { AccessEntry } from '../../core/access/plan.ts';
import { toSecretsError } from '../../core/errors.ts';
import { formatReference } from '../../core/reference/reference.ts';
import { compact } from '../../output/shapes.ts';
import { printTable, shortDate } from '../../output/table.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Session } from '../../session/session.ts';
import type { Invocation } from '../command.ts';
import { storeTitle, withSecret } from '../with-secret.ts';
import { controlOf } from './control.ts';

export async function run(session: Session, { args, options }: Invocation<CommonOptions>): Promise<void> {
  const [text = ''] = args;
  const whole = /^([a-z][a-z0-9_-]*):\/\/$/.exec(text)?.[1];
  const { store, entries } =
    whole === undefined ? await ofSecret(session, text) : await ofStore(session, whole);
  if (options.json === true) await session.printJson(entries.map((entry) => entryJson(store, entry)));
  else if (entries.length > 0)
    await printTable(
      session,
      ['SECRET', 'PRINCIPAL', 'GRANTED BY', 'THROUGH', 'UNTIL', ''],
      entries.map((entry) => rowOf(store, entry, session.world.now())),
    );
  else session.note(`${text}: the store’s policies let nobody read it that they name`);
}

interface Found {
  readonly store: string;
  readonly entries: readonly AccessEntry[];
}

function ofSecret(session: Session, reference: string): Promise<Found> {
  return withSecret(session, reference, async ({ provider, name, target, store }) => {
    const control = await controlOf(provider, store);
    return { store: target.store, entries: await control.list(name, session.call()) };
  });
}

async function ofStore(session: Session, store: string): Promise<Found> {
  try {
    session.asks(store, undefined, { name: '' });
    const control = await controlOf(await session.open(store), await storeTitle(session, store));
    return { store, entries: await control.list(undefined, session.call()) };
  } catch (thrown) {
    throw toSecretsError(thrown).forReference(`${store}://`);
  }
}

function entryJson(store: string, { secret, ours, until, ...entry }: AccessEntry): object {
  return compact({
    reference: formatReference({ store, name: secret }),
    ...entry,
    grantedBySecrets: ours,
    until: until?.toISOString(),
  });
}

function rowOf(store: string, entry: AccessEntry, now: Date): string[] {
  const { secret, principal, ours, through, until, idle, conditional, breadth } = entry;
  const remarks = [
    until !== undefined && until <= now ? 'expired' : '',
    idle ?? '',
    conditional === true ? 'with a condition' : '',
    breadth === undefined || breadth === 'named' ? '' : breadth,
  ];
  return [
    formatReference({ store, name: secret }),
    principal,
    ours ? 'secrets' : '',
    through,
    shortDate(until),
    remarks.filter(Boolean).join(', '),
  ];
}
