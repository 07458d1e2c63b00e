import { toSecretsError } from '../../core/errors.ts';
import type { StoreConfig } from '../../config/config.ts';
import { errorLine } from '../../output/report.ts';
import { compact } from '../../output/shapes.ts';
import { printTable } from '../../output/table.ts';
import type { Session } from '../../session/session.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Invocation } from '../command.ts';

interface StoresOptions extends CommonOptions {
  readonly check?: boolean;
}

interface Row {
  readonly store: StoreConfig;
  readonly isDefault: boolean;
  readonly identity?: string;
  readonly error?: string;
}

export async function run(session: Session, { options }: Invocation<StoresOptions>): Promise<number> {
  const config = await session.config();
  const rows = await Promise.all(
    [...config.stores.values()].map(async (store): Promise<Row> => {
      const row = { store, isDefault: store.name === config.defaultStore };
      // The names that every provider stands for are not asked: most people use one or two of them.
      if (options.check !== true || (store.source === 'builtin' && !row.isDefault)) return row;
      try {
        const identity = await (await session.open(store.name)).identity(session.call());
        return { ...row, identity: `${identity.principal} (${identity.source})` };
      } catch (thrown) {
        return { ...row, error: errorLine(toSecretsError(thrown), session.world) };
      }
    }),
  );
  if (options.json === true) {
    await session.printJson(
      rows.map(({ store, isDefault, identity, error }) =>
        compact({
          name: store.name,
          provider: store.provider,
          source: store.source,
          default: isDefault,
          identity,
          error,
          untrusted: store.untrusted === undefined ? undefined : true,
        }),
      ),
    );
  } else {
    await printTable(
      session,
      ['STORE', 'PROVIDER', 'FROM', '', ...(options.check === true ? ['WHO YOU ARE'] : [])],
      rows.map(({ store, isDefault, identity, error }) => [
        store.name,
        store.provider,
        store.source,
        [isDefault ? 'default' : '', store.untrusted === undefined ? '' : 'not trusted']
          .filter(Boolean)
          .join(', '),
        ...(options.check === true ? [error ?? identity ?? ''] : []),
      ]),
    );
  }
  const untrusted = rows.filter(({ store }) => store.untrusted !== undefined).length;
  if (untrusted > 0)
    session.note(`${config.file ?? 'secrets.yaml'} is not trusted; review it with secrets trust`);
  return rows.some(({ error }) => error !== undefined) ? 7 : 0;
}
