import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { singleLine } from '../../core/text/sanitize.ts';
import { compact } from '../../output/shapes.ts';
import { requireMethod } from '../../providers/capabilities/require.ts';
import type { Session } from '../../session/session.ts';
import type { CommonOptions } from '../../session/options.ts';
import { jsonLine } from './outcome.ts';
import type { Invocation } from '../command.ts';

interface CancelOptions extends CommonOptions {
  readonly dryRun?: boolean;
}

/** Ends what a service does by itself; with or without a policy. */
export async function run(session: Session, { args, options }: Invocation<CancelOptions>): Promise<void> {
  const { text, store, native, reference } = await session.target(args[0] as string);
  const { version, stage, key, name } = reference;
  if (version !== undefined || stage !== undefined || key !== undefined)
    throw new SecretsError('Usage', 'rotate works on whole secrets', {
      reference: text,
      hint: 'omit ?version=, ?stage= and #key',
    });
  try {
    const provider = await session.open(store, native);
    const rotations = await requireMethod(
      provider,
      'nativeRotation',
      'this store rotates nothing by itself, so there is nothing to end',
    )();
    const found = await rotations.read(name, session.call());
    const goes = found?.enabled === true;
    const dryRun = options.dryRun === true;
    if (goes && !dryRun) await rotations.remove(name, session.call());
    if (options.json === true)
      await session.print(
        jsonLine(
          compact({
            reference: text,
            outcome: goes ? 'cancelled' : 'nothing',
            by: found?.by,
            dryRun: dryRun ? true : undefined,
          }),
        ),
      );
    else if (dryRun)
      await session.print(
        `${singleLine(`${text}: would ${goes ? `end its rotation by ${found.by}` : 'do nothing: no service rotates it'}`)}\n`,
      );
    else
      session.note(`${text}: ${goes ? `is not rotated by ${found.by} any more` : 'no service rotates it'}`);
  } catch (thrown) {
    throw toSecretsError(thrown).forReference(text);
  }
}
