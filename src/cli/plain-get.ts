/**
 * The most frequent command where an agent runs: `secrets get REF`. Asks the agent before the program is loaded, which
 * would take most of the time. Without a plain answer nothing has happened, and the program does it all itself.
 * A bundle of its own (scripts/build.mjs), so it imports little and shares no state.
 */
import { statfsSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { AGENT_SILENCE_MS } from '../core/agent/messages.ts';
import { EXIT_CODES } from '../core/errors.ts';
import { askAgent } from '../platform/agent/connect.ts';
import { findAgent } from '../platform/agent/place.ts';
import { clientIdentity, isOfRequest, placeOf } from '../session/agent-identity.ts';

/** 128 + SIGINT, as in shells. */
const INTERRUPTED = 130;

/**
 * File systems that this machine's own kernel answers for, by their numbers in statfs(2): ext2 to ext4, XFS, Btrfs, F2FS,
 * ZFS, bcachefs, tmpfs, overlay.
 */
const OWN_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, 0xca451a4e, 0x01021994, 0x794c7630,
]);

/** Whether the value has been printed. Never rejects before it has begun to print. */
export async function plainGet(reference: string): Promise<boolean> {
  const value = await valueOf(reference).catch(() => undefined);
  if (value === undefined) return false;
  return print(value);
}

async function valueOf(reference: string): Promise<Buffer | undefined> {
  const { env } = process;
  const { HOME: home = '' } = env;
  const uid = process.getuid?.();
  if (!home.startsWith('/') || uid === undefined) return undefined;
  const terminal = isatty(1);
  const agent = findAgent({ env, home, uid });
  if (agent === undefined || agent.problem !== undefined) return undefined;
  const interrupt = (): void => process.exit(INTERRUPTED);
  process.on('SIGINT', interrupt);
  try {
    const cwd = process.cwd();
    // The agent would look for secrets.yaml there, and all its clients would wait for a server that doesn't answer.
    if (!isOfThisMachine(cwd)) return undefined;
    const request = {
      op: 'get',
      identity: clientIdentity({ env, home, uid }),
      place: placeOf(cwd),
      cwd,
      reference,
      variables: variablesOf(env),
      terminal,
      pid: process.pid,
    } as const;
    // What it holds it answers at once; the program waits longer, as it is told to.
    const { answer } = await askAgent(agent.path, request, undefined, { answerMs: AGENT_SILENCE_MS });
    if (!('value' in answer)) return undefined;
    const value = Buffer.from(answer.value, 'base64');
    return terminal ? Buffer.concat([value, Buffer.from('\n')]) : value;
  } finally {
    process.off('SIGINT', interrupt);
  }
}

function isOfThisMachine(folder: string): boolean {
  // Elsewhere the numbers mean nothing.
  return process.platform !== 'linux' || OWN_FILE_SYSTEMS.has(statfsSync(folder).type);
}

function variablesOf(env: NodeJS.ProcessEnv): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && isOfRequest(entry[0]),
    ),
  );
}

/** @returns false if nothing could be printed: the program says why */
function print(value: Buffer): boolean {
  let rest = value;
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(1, rest));
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException;
    // A pipe that is full and doesn't wait: Node's own stream does. A reader that is gone isn't an error.
    if (code === 'EAGAIN') process.stdout.on('error', () => undefined).write(rest);
    else if (code !== 'EPIPE') {
      if (rest.length === value.length) return false;
      failed(message);
    }
  }
  return true;
}

/** As the program says it, which would print the beginning a second time. */
function failed(message: string): void {
  process.exitCode = EXIT_CODES.Failed;
  try {
    writeSync(2, `secrets: ${message}\n`);
  } catch {
    // Nobody is reading it.
  }
}
