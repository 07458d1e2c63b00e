/** Values of secrets as texts of OpenTofu and Terraform, and back. */
import { JsonDocument } from '../core/document/document.ts';
import { isWellFormed } from '../core/document/document.ts';
import { secretDocument } from '../core/document/secret.ts';
import { SecretsError } from '../core/errors.ts';
import type { SecretVersion } from '../core/secret.ts';
import { utf8 } from '../core/utf8.ts';
import { type Attributes, textOf, UNKNOWN } from './values.ts';

export type Encoding = 'text' | 'base64';

/** @throws SecretsError Usage for anything but the two encodings */
export function encodingOf(block: Attributes): Encoding {
  const name = textOf(block, 'encoding') ?? 'text';
  if (name === 'text' || name === 'base64') return name;
  throw new SecretsError('Usage', 'the encoding is text or base64');
}

/** The same while a plan is made, when it may not be known. */
export function checkEncoding(block: Attributes): void {
  if (block['encoding'] !== UNKNOWN) encodingOf(block);
}

const BINARY = 'set encoding = "base64", and decode it where it is used';

/** @throws SecretsError Invalid if the value isn't a text that the program keeps as it is */
export function encodeValue(value: Uint8Array, encoding: Encoding): string {
  if (encoding === 'base64') return Buffer.from(value).toString('base64');
  const text = utf8(value);
  if (text === undefined) throw new SecretsError('Invalid', 'the value is not UTF-8 text', { hint: BINARY });
  return kept(text);
}

/** OpenTofu and Terraform turn every text into one Unicode form (NFC): a password would be another one after that. */
function kept(text: string): string {
  if (isWellFormed(text) && text === text.normalize('NFC')) return text;
  throw new SecretsError(
    'Invalid',
    'the value has characters that OpenTofu and Terraform would change (NFC)',
    {
      hint: BINARY,
    },
  );
}

/** The keys of a JSON object, or of the map in which the store keeps the value; null if there are none. */
export function keysOf(secret: SecretVersion, value: Uint8Array, key: string | undefined): Attributes | null {
  let document: JsonDocument;
  try {
    document = key === undefined ? secretDocument(secret) : JsonDocument.parse(value);
  } catch {
    return null;
  }
  if (!document.isObject) return null;
  return Object.fromEntries(document.entries().map(([name, text]) => [kept(name), kept(text)]));
}

/** The bytes to write. @throws SecretsError Usage */
export function decodeValue(block: Attributes): Uint8Array {
  const text = textOf(block, 'value_wo');
  if (text === undefined || text === '')
    throw new SecretsError('Usage', 'the value is empty', { hint: 'check what value_wo comes from' });
  if (encodingOf(block) === 'text') return Buffer.from(text);
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') === text) return bytes;
  throw new SecretsError('Usage', 'the value is not base64', {
    hint: 'use base64encode() or filebase64(), or remove encoding',
  });
}
