/**
 * The trusted content of the files that a secrets.yaml names, by absolute path. Between checking the trust and using
 * a file, somebody else may change it, so every use compares again. One process uses one secrets.yaml, so this is
 * global to the process.
 */
import { readFileSync } from 'node:fs';
import { SecretsError } from '../core/errors.ts';

type Hash = (content: Uint8Array) => string;

const trusted = new Map<string, string>();
let hashOf: Hash = () => '';

/** Replaces the expected contents. @param hash the function that computed the hashes */
export function expectContents(
  files: readonly { readonly path: string; readonly sha256: string }[],
  hash: Hash,
): void {
  trusted.clear();
  for (const { path, sha256 } of files) trusted.set(path, sha256);
  hashOf = hash;
}

/** @throws SecretsError Policy if this isn't the content that was trusted */
export function checkContent(path: string, content: Uint8Array): void {
  const expected = trusted.get(path);
  if (expected !== undefined && hashOf(content) !== expected) throw changed(path);
}

/**
 * Reads a text file, checking its content if it was trusted. @throws SecretsError Policy, and errors of
 * `readFileSync`
 */
export function readPinnedText(path: string): string {
  const content = readFileSync(path);
  checkContent(path, content);
  return content.toString('utf8');
}

/**
 * Compares all files. Call before starting a program that is one of them or gets some as arguments.
 * @throws SecretsError Policy
 */
export function checkContents(): void {
  for (const [path, expected] of trusted) {
    let content: Buffer | undefined;
    try {
      content = readFileSync(path);
    } catch {
      // A file that was missing or unreadable had no hash, and must still have none.
    }
    if (content === undefined ? /^[0-9a-f]{64}$/.test(expected) : hashOf(content) !== expected)
      throw changed(path);
  }
}

function changed(path: string): SecretsError {
  return new SecretsError('Policy', `${path} has changed since it was trusted`, {
    hint: 'review and accept it with secrets trust',
  });
}
