/** Runs a hook once: JSON on its standard input, no value anywhere else; its process group ends with the signal. */
import { spawn } from 'node:child_process';
import { SecretsError } from '../../../core/errors.ts';
import { Masker } from '../../../core/redaction/redactor.ts';
import { absoluteFolders, findProgram } from '../../../platform/find-program.ts';
import { codeOf } from '../../../platform/files.ts';
import { checkContents } from '../../../platform/pinned.ts';
import type { TargetContext } from '../../target.ts';

/** How many bytes of standard error are kept for the message. */
const KEPT = 4_096;
/** How many bytes of values can be masked quickly. */
const MASKABLE = 32_768;

export interface HookEnd {
  readonly code: number | null;
  readonly killedBy: string | null;
  /** The last line of standard error, with the values masked. */
  readonly lastLine: string;
}

/**
 * Runs a hook to its end. Its output is never shown, because it may repeat its input.
 * @param values the values to mask in the message's line
 * @throws SecretsError Usage if it can't be started, Unavailable if the signal ends it
 */
export async function runHook(
  command: readonly string[],
  input: object,
  values: readonly Uint8Array[],
  doubt: string,
  { folder, env, credentialVariables }: Pick<TargetContext, 'folder' | 'env' | 'credentialVariables'>,
  signal: AbortSignal,
): Promise<HookEnd> {
  const [name = '', ...args] = command;
  const searched = absoluteFolders(env['PATH']);
  const path = findHook(name, searched, folder);
  const own: Record<string, string | undefined> = Object.fromEntries(
    Object.entries(env).filter(([key]) => !credentialVariables.includes(key)),
  );
  own['PATH'] = searched;
  if (signal.aborted) throw late(name, '', signal.reason);
  checkContents();
  // In its own process group, so that everything that the hook has started ends with it.
  const child = spawn(path, args, {
    cwd: folder,
    env: own,
    stdio: ['pipe', 'ignore', 'pipe'],
    detached: true,
  });
  let errors = Buffer.alloc(0);
  child.stderr.on('data', (chunk: Buffer) => {
    errors = Buffer.concat([errors, chunk]).subarray(-KEPT);
  });
  const endGroup = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The group has already ended.
    }
  };
  let onAbort = (): void => {};
  try {
    return await new Promise<HookEnd>((resolve, reject) => {
      onAbort = () => {
        endGroup();
        child.stdin.destroy();
        child.stderr.destroy();
        reject(late(name, doubt, signal.reason));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      child.on('error', (cause) =>
        reject(new SecretsError('Usage', `cannot run ${name}: ${codeOf(cause) ?? 'failed'}`, { cause })),
      );
      // 'exit', not 'close': a process that the hook left behind may keep standard error open.
      child.on('exit', (code, killedBy) =>
        setImmediate(() => resolve({ code, killedBy, lastLine: lastLine(errors, values) })),
      );
      // A hook that doesn't read its input hasn't failed.
      child.stdin.on('error', () => {});
      child.stdin.end(`${JSON.stringify(input)}\n`);
    });
  } finally {
    signal.removeEventListener('abort', onAbort);
    child.stderr.destroy();
    child.unref();
  }
}

function findHook(name: string, path: string | undefined, folder: string): string {
  const found = findProgram(name, path, folder);
  if (typeof found === 'string') return found;
  throw new SecretsError('Usage', `${name} ${found === 127 ? 'was not found' : 'is not executable'}`, {
    hint: 'write its path, from the folder of secrets.yaml, or put it into an absolute folder of PATH',
  });
}

function lastLine(errors: Buffer, values: readonly Uint8Array[]): string {
  // Masking very large values takes too long, so nothing is shown then.
  const size = values.reduce((sum, value) => sum + value.length, 0);
  if (errors.length === 0 || size > MASKABLE) return '';
  const stream = new Masker(values).stream();
  const text = Buffer.concat([stream.write(errors), stream.end()]).toString('utf8');
  const line = text.trimEnd().split('\n').at(-1) ?? '';
  // The first kept line may start in the middle of a value, which masking wouldn't recognise.
  const whole = errors.length < KEPT || text.trimEnd().includes('\n') ? line : '';
  return whole.replaceAll(/\p{Cc}/gu, ' ').slice(0, 200);
}

function late(name: string, doubt: string, cause: unknown): SecretsError {
  return new SecretsError('Unavailable', `${name} did not end in time${doubt}`, {
    hint: 'raise --timeout',
    cause,
  });
}
