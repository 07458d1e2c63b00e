import { printTable, shortDate } from '../output/table.ts';
import { versionJson } from '../output/shapes.ts';
import { requireMethod } from '../providers/capabilities/require.ts';
import type { VersionInfo } from '../core/secret.ts';
import type { Session } from '../session/session.ts';
import type { CommonOptions } from '../session/options.ts';
import type { Invocation } from './command.ts';
import { withSecret } from './with-secret.ts';

export async function run(session: Session, { args, options }: Invocation<CommonOptions>): Promise<void> {
  await withSecret(session, args[0] as string, async ({ provider, name, target, store }) => {
    const history = requireMethod(
      provider,
      'history',
      `${store} keeps no old versions`,
      'secrets get reads the only one; secrets get --metadata shows its dates',
    );
    const versions: VersionInfo[] = [];
    let failure: unknown;
    try {
      for await (const version of history(name, session.call())) versions.push(version);
    } catch (thrown) {
      if (versions.length === 0) throw thrown;
      failure = thrown;
    }
    if (options.json === true) {
      await session.printJson({ reference: target.text, versions: versions.map(versionJson) });
    } else {
      const rows = versions.map(({ id, state, stages, createdAt, createdBy, note }) => [
        id,
        state,
        stages.join(','),
        shortDate(createdAt),
        createdBy ?? '',
        note ?? '',
      ]);
      await printTable(session, ['VERSION', 'STATE', 'STAGES', 'CREATED', 'BY', 'NOTE'], rows);
    }
    if (failure !== undefined) throw failure;
  });
}
