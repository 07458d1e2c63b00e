import { readFileSync } from 'node:fs';
import { SecretsError } from '../../core/errors.ts';
import { tell } from '../../output/outcome.ts';
import type { Session } from '../../session/session.ts';
import { askAll } from './ask.ts';

/** It ends as soon as the calls in progress do. */
const MOST_MS = 10_000;
const PAUSE_MS = 20;

export async function run(session: Session): Promise<void> {
  const all = await askAll(session, { op: 'stop' });
  const until = Date.now() + MOST_MS;
  for (const { hello } of all) await ended(hello.pid, until);
  const [{ hello }] = all;
  await tell(session, { text: 'the agent has ended', json: { stopped: hello.pid }, dryRun: false });
}

async function ended(pid: number, until: number): Promise<void> {
  while (isAlive(pid)) {
    if (Date.now() > until)
      throw new SecretsError('Failed', `the agent (process ${pid}) has not ended yet`, {
        hint: `end it with kill -9 ${pid}`,
      });
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return !isZombie(pid);
}

/** It has ended, and its parent hasn't looked yet. */
function isZombie(pid: number): boolean {
  try {
    // The state comes after the name, which is in parentheses and may contain some (proc(5)).
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, '').slice(0, 3));
  } catch {
    // Not Linux.
    return false;
  }
}
