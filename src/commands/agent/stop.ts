import { SecretsError } from '../../core/errors.ts';
import { tell } from '../../output/outcome.ts';
import type { Session } from '../../session/session.ts';
import { askRunning } from './ask.ts';

/** It ends as soon as the calls in progress do. */
const MOST_MS = 10_000;
const PAUSE_MS = 20;

export async function run(session: Session): Promise<void> {
  const { hello } = await askRunning(session, { op: 'stop' });
  const until = Date.now() + MOST_MS;
  while (isAlive(hello.pid)) {
    if (Date.now() > until)
      throw new SecretsError('Failed', `the agent (process ${hello.pid}) has not ended yet`, {
        hint: `end it with kill -9 ${hello.pid}`,
      });
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  await tell(session, { text: 'the agent has ended', json: { stopped: hello.pid }, dryRun: false });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
