/** The names and headers of entry files, and the names of secrets' folders: docs/local-store.md, sections 5 and 6. */
const MAGIC = Buffer.from('SLE1');
/** Length of the header, in bytes. */
export const HEADER = 34;
const FILE_NAME = /^(\d{10})-(\d{14})-([0-9a-f]{32})\.sealed$/;

/** The facts in a file's name. */
export interface FileParts {
  readonly file: string;
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly id: string;
}

/** Parses the name of an entry's file; undefined for any other file. */
export function parseFileName(file: string): FileParts | undefined {
  const match = FILE_NAME.exec(file);
  if (match === null) return undefined;
  return { file, number: Number(match[1]), at: Number(match[2]), id: match[3] as string };
}

export function fileName(number: number, at: number, id: string): string {
  return `${String(number).padStart(10, '0')}-${String(at).padStart(14, '0')}-${id}.sealed`;
}

/** A text that sorts after the file names of all entries with this number, and before those of the next. */
export function lastPlaceOf(number: number): string {
  return `${String(number).padStart(10, '0')}~`;
}

/** The facts about an entry that are readable without a key. */
export interface Header {
  /** Id of the data key that seals the entry. */
  readonly keyId: string;
  readonly id: string;
  readonly at: number;
}

/** Undefined for anything but a header: magic (4) ‖ key id (8) ‖ event id (16) ‖ time (6, milliseconds, big-endian). */
export function parseHeader(bytes: Buffer): Header | undefined {
  if (bytes.length < HEADER || !bytes.subarray(0, 4).equals(MAGIC)) return undefined;
  return {
    keyId: bytes.subarray(4, 12).toString('hex'),
    id: bytes.subarray(12, 28).toString('hex'),
    at: bytes.readUIntBE(28, 6),
  };
}

export function printHeader({ keyId, id, at }: Header): Buffer {
  const time = Buffer.alloc(6);
  time.writeUIntBE(at, 0, 6);
  return Buffer.concat([MAGIC, Buffer.from(keyId, 'hex'), Buffer.from(id, 'hex'), time]);
}

const HIDDEN_ID = /^[0-9a-f]{40}$/;
const VISIBLE_ID = /^(?:[a-z0-9_%-]{1,200}|[a-z0-9_%-]{158}%~[0-9a-f]{40})$/;

/** Whether this is a valid name for a secret's folder; without `names`, in any store. */
export function isSecretId(entry: string, names?: 'hidden' | 'visible'): boolean {
  return (names !== 'hidden' && VISIBLE_ID.test(entry)) || (names !== 'visible' && HIDDEN_ID.test(entry));
}

/**
 * The maximum length of a secret's folder name: with `.` and a number it still has to be a valid file name everywhere
 * (255 bytes).
 */
const MAX_FOLDER_NAME = 200;

/**
 * A readable folder name for a secret, safe on file systems that ignore case. If it is too long, it is cut, and made
 * unique by the secret's hidden folder name.
 */
export function visibleId(name: string, hidden: () => string): string {
  const encoded = [...Buffer.from(name, 'utf8')]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[a-z0-9_-]/.test(char) ? char : `%${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
  if (encoded.length <= MAX_FOLDER_NAME) return encoded;
  const end = `%~${hidden()}`;
  return `${encoded.slice(0, MAX_FOLDER_NAME - end.length)}${end}`;
}
