/** Where the value of `put` comes from: stdin, a file, a hidden prompt, a generator, or (if allowed) an argument. */
import { createReadStream } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Readable } from 'node:stream';
import { SecretsError } from '../core/errors.ts';
import { generate } from '../core/generate/generate.ts';
import { codeOf } from '../platform/files.ts';
import type { Session } from '../session/session.ts';

export interface ValueOptions {
  readonly fromFile?: string;
  readonly generate?: string;
  readonly allowEmpty?: boolean;
  readonly allowArgv?: boolean;
  readonly trim?: boolean;
}

/**
 * The bytes to write, exactly as they came, but for one line break at the end with `--trim`.
 * @param limit in bytes; reading stops above it
 * @throws SecretsError Usage for an empty value that was not asked for, a value in argv, two sources
 */
export async function newValue(
  session: Session,
  argument: string | undefined,
  options: ValueOptions,
  limit: number,
): Promise<Uint8Array> {
  const sources = [argument, options.fromFile, options.generate].filter((source) => source !== undefined);
  if (sources.length > 1) {
    throw new SecretsError('Usage', 'the value comes from one place: --from-file, --generate or an argument');
  }
  if (argument !== undefined) {
    if (options.allowArgv === true) return Buffer.from(argument);
    throw new SecretsError(
      'Usage',
      'a value on the command line is visible in process lists and shell history',
      {
        hint: 'pipe the value in, or use --from-file; --allow-argv accepts it anyway',
      },
    );
  }
  if (options.generate !== undefined) return Buffer.from((await generate(options.generate)).value);
  const tooLarge = `the value is larger than this store allows: ${limit} bytes`;
  const input = await readInput(session, options.fromFile, limit, tooLarge);
  const value = options.trim === true ? withoutBreak(input) : input;
  if (
    value === input &&
    options.fromFile === undefined &&
    session.world.stdin.isTTY !== true &&
    endsInOneBreak(value)
  )
    session.note('the value ends in a line break, which is stored too; use --trim to remove it');
  if (value.length === 0 && options.allowEmpty !== true) {
    throw new SecretsError('Usage', 'the value is empty, maybe because an upstream command failed', {
      hint: 'use --allow-empty to store an empty value',
    });
  }
  return value;
}

const LF = 0x0a;
const CR = 0x0d;

/** The value without one line break at its end, LF or CR LF. */
function withoutBreak(value: Uint8Array): Uint8Array {
  if (value.at(-1) !== LF) return value;
  return value.subarray(0, value.at(-2) === CR ? -2 : -1);
}

/** As `echo` leaves it: more of them look meant. */
function endsInOneBreak(value: Uint8Array): boolean {
  return value.at(-1) === LF && withoutBreak(value).at(-1) !== LF;
}

/**
 * The bytes of a file, or of stdin, or what is typed at a hidden prompt.
 * @throws SecretsError Usage for a file that can't be read, Invalid above the limit, with `tooLarge`
 */
export async function readInput(
  session: Session,
  file: string | undefined,
  limit: number,
  tooLarge: string,
): Promise<Uint8Array> {
  const { world } = session;
  if (file !== undefined) {
    try {
      const stream = createReadStream(isAbsolute(file) ? file : join(world.cwd, file));
      return await readAll(session, stream, limit, tooLarge);
    } catch (cause) {
      if (cause instanceof SecretsError) throw cause;
      const why = codeOf(cause) === 'ENOENT' ? 'file not found' : (codeOf(cause) ?? 'failed');
      throw new SecretsError('Usage', `cannot read ${file}: ${why}`, { cause });
    }
  }
  if (world.stdin.isTTY !== true) return readAll(session, world.stdin, limit, tooLarge);
  const first = await session.output.askHidden('Value');
  if ((await session.output.askHidden('The same value again')) !== first) {
    throw new SecretsError('Usage', 'the two values differ');
  }
  return Buffer.from(first);
}

/** Everything up to the limit; an interrupt ends the wait for a writer that does not come to its end. */
async function readAll(
  session: Session,
  stream: Readable,
  limit: number,
  tooLarge: string,
): Promise<Uint8Array> {
  const { signal } = session.interrupt;
  const stop = (): void => void stream.destroy(new Error('interrupted'));
  signal.addEventListener('abort', stop, { once: true });
  try {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of stream) {
      const bytes = Buffer.from(chunk as Uint8Array);
      chunks.push(bytes);
      length += bytes.length;
      if (length > limit) {
        throw new SecretsError('Invalid', tooLarge);
      }
    }
    return Buffer.concat(chunks);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
