import { toSecretsError } from '../../core/errors.ts';
import { learnSpellings } from '../../output/confidential.ts';
import { errorLine } from '../../output/report.ts';
import type { Session } from '../../session/session.ts';
import { isStartedByProgram } from '../../terraform/handshake.ts';
import { serve } from '../../terraform/serve.ts';

export async function run(session: Session): Promise<void> {
  try {
    await serve(session);
  } catch (thrown) {
    // What a provider prints instead of its address is shown to the user; its stderr is not.
    if (isStartedByProgram(session.world)) {
      await learnSpellings(session.world);
      await session.print(`${errorLine(toSecretsError(thrown), session.world)}\n`);
    }
    throw thrown;
  }
}
