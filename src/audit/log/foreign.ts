/**
 * Recognises files that should be a log but are something else: compressed copies, or copies rewritten by another
 * program.
 */
import { isJsonObject } from '../../core/json.ts';

/** `hint`: how to get the log out of it, as a command without the file name. */
interface Form {
  readonly what: string;
  readonly hint: string;
}

/** First bytes, as latin1. From the formats' own specifications; file(1) knows them too. */
const MAGIC: readonly (readonly [start: string, what: string, command: string])[] = [
  ['\u001f\u008b', 'compressed with gzip', 'gunzip'],
  ['(\u00b5/\u00fd', 'compressed with zstd', 'zstd -d'],
  ['\u00fd7zXZ\u0000', 'compressed with xz', 'unxz'],
  ['BZh', 'compressed with bzip2', 'bunzip2'],
  ['\u0004"M\u0018', 'compressed with lz4', 'lz4 -d'],
  ['\u001f\u009d', 'compressed with compress', 'uncompress'],
  ['LZIP', 'compressed with lzip', 'lzip -d'],
  ['\u0089LZO\u0000', 'compressed with lzop', 'lzop -d'],
  ['PK\u0003\u0004', 'a zip archive', 'unzip'],
  ['7z\u00bc\u00af\u0027\u001c', 'a 7z archive', '7z x'],
  ['age-encryption.org/v1', 'encrypted with age', 'age -d'],
  ['-----BEGIN AGE ENCRYPTED FILE-----', 'encrypted with age', 'age -d'],
  ['-----BEGIN PGP MESSAGE-----', 'encrypted with OpenPGP', 'gpg -d'],
];
const TAR_AT = 257;

/**
 * What kind of file this is, judged by its start; undefined if it looks like a log or is unknown.
 * @param start at least the first 4 KiB, or the whole file if it is shorter
 */
export function foreignForm(start: Uint8Array): Form | undefined {
  const text = Buffer.from(start).toString('latin1');
  const packed = MAGIC.find(([magic]) => text.startsWith(magic));
  if (packed !== undefined) return { what: packed[1], hint: `unpack it first: ${packed[2]}` };
  if (text.startsWith('ustar', TAR_AT)) return { what: 'a tar archive', hint: 'unpack it first: tar -xf' };
  return wrapped(text);
}

function wrapped(text: string): Form | undefined {
  const copy = 'verify a copy that is the log to the byte';
  if (/^(\u00ff\u00fe|\u00fe\u00ff|\{\u0000|\u0000\{)/.test(text)) return { what: 'UTF-16 text', hint: copy };
  if (text.startsWith('\u00ef\u00bb\u00bf{')) return { what: 'text with a byte order mark', hint: copy };
  const [line = '', next] = text.split('\n');
  if (isLine(line)) return line.endsWith('\r') ? { what: 'text with CRLF line ends', hint: copy } : undefined;
  if (/^\s*\[\s*(\{|\n|$)/.test(text)) return { what: 'a JSON array', hint: `${copy}: one record a line` };
  if (/^\{\s*$/.test(line)) return { what: 'JSON over several lines', hint: `${copy}: one record a line` };
  if (/^\{.*[^}]$/.test(line) && next !== undefined && !next.startsWith('{'))
    return { what: 'text with its lines broken', hint: `${copy}: one record a line` };
  const inner = innerOf(line);
  if (inner !== undefined)
    return { what: inner, hint: `${copy}: another program has put each record into its own form` };
  if (/^[A-Za-z0-9+/]{40,}={0,2}\r?$/.test(line))
    return { what: 'base64 text', hint: 'decode it first: base64 -d' };
  return undefined;
}

function isLine(line: string): boolean {
  const record = parsed(line);
  return record !== undefined && 'hash' in record && 'seq' in record;
}

function parsed(line: string): object | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Recognises a line of a log collector with a record inside. */
function innerOf(line: string): string | undefined {
  const outer = parsed(line);
  if (outer !== undefined) {
    const holds = Object.values(outer).some((value) =>
      typeof value === 'string'
        ? isLine(value.trim())
        : isJsonObject(value) && 'hash' in value && 'seq' in value,
    );
    return holds ? 'a log collector’s JSON with the records in it' : undefined;
  }
  const at = line.indexOf('{');
  if (at <= 0 || !isLine(line.slice(at).trim())) return undefined;
  return /^<\d{1,3}>/.test(line)
    ? 'syslog lines with the records in them'
    : 'lines with something before each record';
}
