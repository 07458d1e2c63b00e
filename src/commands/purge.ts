import { SecretsError } from '../core/errors.ts';
import { tell } from '../output/outcome.ts';
import { singleLine } from '../core/text/sanitize.ts';
import { requireMethod } from '../providers/capabilities/require.ts';
import type { Session } from '../session/session.ts';
import type { CommonOptions } from '../session/options.ts';
import type { Invocation } from './command.ts';
import { withSecret } from './with-secret.ts';

interface PurgeOptions extends CommonOptions {
  readonly version?: string;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

export async function run(session: Session, { args, options }: Invocation<PurgeOptions>): Promise<void> {
  await withSecret(session, args[0] as string, async ({ provider, name, target, store }) => {
    const purge = requireMethod(
      provider,
      'purge',
      `${store} can’t delete for good`,
      'secrets delete deletes softly',
    );
    const what = options.version === undefined ? target.text : `version ${options.version} of ${target.text}`;
    if (options.dryRun === true) {
      await provider.describe(name, session.call());
      await tell(session, {
        text: `${what}: would be gone for good`,
        json: {
          reference: target.text,
          ...(options.version !== undefined && { version: options.version }),
          purged: false,
        },
        dryRun: true,
      });
      return;
    }
    if (options.yes !== true) {
      const { stdin, stderr } = session.world;
      if (stdin.isTTY !== true || stderr.isTTY !== true) {
        throw new SecretsError(
          'Usage',
          'purge asks before it deletes permanently, and there is no terminal',
          {
            hint: 'use --yes',
          },
        );
      }
      const answer = await session.output.ask(
        `${singleLine(what)} will be gone for good. Type ${singleLine(name)} to go on`,
      );
      if (answer !== name)
        throw new SecretsError('Failed', 'the name does not match, so nothing was deleted');
    }
    await purge(name, options.version, session.call());
    await tell(session, {
      text: `${what}: gone for good`,
      json: {
        reference: target.text,
        ...(options.version !== undefined && { version: options.version }),
        purged: true,
      },
      dryRun: false,
    });
  });
}
