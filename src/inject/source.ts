/** The text of a template, which is read twice: once to see what it needs, and once to write it. */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { SecretsError } from '../core/errors.ts';
import { codeOf, fileError } from '../platform/files.ts';
import type { InputStream } from '../platform/world.ts';

/** A pipe can be read only once, so its content is kept; larger templates have to be files. */
export const MOST_PIPED = 64 * 1024 * 1024;
const CHUNK = 256 * 1024;

export interface Source {
  /** What messages call it. */
  readonly name: string;
  /** The template in chunks of Latin-1, one character for each byte. @throws SecretsError */
  chunks(): Iterable<string>;
  /** A hash of what was read last. */
  hash(): string;
}

/** @throws SecretsError NotFound, Denied */
export async function openSource(
  path: string | undefined,
  shown: string,
  stdin: InputStream,
): Promise<Source> {
  if (path === undefined) return buffered(await readAll(stdin, 'the template on stdin'), 'stdin');
  let isFile: boolean;
  try {
    const stats = statSync(path);
    if (stats.isDirectory())
      throw new SecretsError('Usage', `${shown} is a folder, not a template`, {
        hint: 'name one file with -i',
      });
    isFile = stats.isFile();
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT')
      throw new SecretsError('Usage', `no template at ${shown}`, { hint: 'check the path after -i' });
    throw fileError(thrown, 'cannot read the template', path);
  }
  if (isFile) return new FileSource(path, shown);
  // Such as a shell's <(…).
  const { createReadStream } = await import('node:fs');
  return buffered(await readAll(createReadStream(path), shown), shown);
}

class FileSource implements Source {
  readonly name: string;
  readonly #path: string;
  #hash = createHash('sha256');

  constructor(path: string, name: string) {
    this.#path = path;
    this.name = name;
  }

  *chunks(): Iterable<string> {
    this.#hash = createHash('sha256');
    let fd: number | undefined;
    try {
      // Without O_NONBLOCK, a named pipe that has taken the file's place would hang the program.
      fd = openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
      if (!fstatSync(fd).isFile()) throw new SecretsError('Conflict', `${this.name} is no longer a file`);
      const buffer = Buffer.allocUnsafe(CHUNK);
      for (;;) {
        const length = readSync(fd, buffer, 0, CHUNK, null);
        if (length === 0) return;
        const chunk = buffer.subarray(0, length);
        this.#hash.update(chunk);
        yield chunk.toString('latin1');
      }
    } catch (thrown) {
      throw fileError(thrown, 'cannot read the template', this.#path);
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  hash(): string {
    return this.#hash.copy().digest('hex');
  }
}

function buffered(content: Buffer, name: string): Source {
  return {
    name,
    *chunks() {
      for (let at = 0; at < content.length; at += CHUNK) yield content.toString('latin1', at, at + CHUNK);
    },
    hash: () => '',
  };
}

async function readAll(stream: AsyncIterable<unknown>, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk as Uint8Array);
    size += bytes.length;
    if (size > MOST_PIPED)
      throw new SecretsError(
        'Usage',
        `${what} has more than ${MOST_PIPED / 1024 / 1024} MiB, and a pipe can’t be read twice`,
        {
          hint: 'write it to a file, and name that with -i',
        },
      );
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}
