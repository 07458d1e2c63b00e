/** `agent start --detach`: the same command again, in a session of its own and without a terminal. */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Ready } from '../../agent/daemon.ts';
import { SecretsError } from '../../core/errors.ts';
import { isJsonObject, type JsonValue } from '../../core/json.ts';
import type { Session } from '../../session/session.ts';
import { tell } from '../../output/outcome.ts';
import { askRunning } from './ask.ts';

/** Stores aren't opened yet when it is ready. */
const START_MS = 20_000;

/** @throws SecretsError with what the child said, if it did not start */
export async function startDetached(session: Session): Promise<void> {
  const { world } = session;
  const args = [...world.argv.filter((word) => !isDetach(word)), '--json'];
  const child = spawn(process.execPath, [process.argv[1] ?? '', ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { line, errors, code } = await firstLine(child);
  const ready = readyOf(line);
  // Its pipes close with this process; what it says later goes nowhere.
  child.unref();
  if (ready !== undefined) {
    const text = `the agent listens at ${ready.socket} (process ${ready.pid})`;
    await tell(session, { text, json: ready, dryRun: false });
    return;
  }
  const failure = failureOf(errors);
  if (failure?.kind === 'Conflict') {
    await tell(session, { text: failure.message, json: await running(session), dryRun: false });
    return;
  }
  throw failure ?? new SecretsError('Failed', `the agent did not start (exit code ${code ?? 'none'})`);
}

/** The agent that was there before. @throws SecretsError if it doesn't answer */
async function running(session: Session): Promise<Ready> {
  const { path, hello, done } = await askRunning(session, { op: 'status' });
  const doors = isJsonObject(done) && Array.isArray(done['doors']) ? done['doors'].filter(isJsonObject) : [];
  const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '');
  return {
    pid: hello.pid,
    socket: path,
    doors: doors.map(({ name, address }) => ({ name: textOf(name), address: textOf(address) })),
  };
}

function isDetach(word: string): boolean {
  return word === '-d' || word === '--detach';
}

interface Begun {
  readonly line: string;
  readonly errors: string;
  readonly code: number | undefined;
}

function firstLine(child: ChildProcess): Promise<Begun> {
  return new Promise((resolve, reject) => {
    let [out, errors] = ['', ''];
    const end = (code: number | undefined): void => {
      clearTimeout(timer);
      for (const stream of [child.stdout, child.stderr]) stream?.destroy();
      resolve({ line: out.split('\n', 1)[0] ?? '', errors, code });
    };
    const timer = setTimeout(() => {
      child.kill();
      end(undefined);
    }, START_MS);
    child.stdout?.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      if (out.includes('\n')) end(undefined);
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.once('error', reject);
    child.once('close', (code) => end(code ?? undefined));
  });
}

function readyOf(line: string): Ready | undefined {
  try {
    const parsed: unknown = JSON.parse(line);
    return isJsonObject(parsed) && typeof parsed['socket'] === 'string'
      ? (parsed as unknown as Ready)
      : undefined;
  } catch {
    return undefined;
  }
}

/** The child's error, which it prints as JSON. */
function failureOf(text: string): SecretsError | undefined {
  for (const line of text.trim().split('\n').toReversed()) {
    try {
      const { error } = JSON.parse(line) as { error?: { kind: never; message: string; hint?: string } };
      if (error !== undefined) return new SecretsError(error.kind, error.message, { hint: error.hint });
    } catch {
      // A warning.
    }
  }
  return undefined;
}
