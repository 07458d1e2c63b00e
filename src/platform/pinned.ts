/**
 * The content that was trusted with a secrets.yaml, by the absolute path of each file that it names. Between the moment
 * when trust was looked at and the moment when a file is used, somebody else may write it: whoever uses one compares
 * again. One process acts on one secrets.yaml, so this is the process's.
 */
import { readFileSync } from 'node:fs';
import { SecretsError } from '../core/errors.ts';

type Hash = (content: Uint8Array) => string;

const trusted = new Map<string, string>();
let hashOf: Hash = () => '';

/** Takes the place of what was expected before. @param hash the one that made the hashes */
export function expectContents(
  files: readonly { readonly path: string; readonly sha256: string }[],
  hash: Hash,
): void {
  trusted.clear();
  for (const { path, sha256 } of files) trusted.set(path, sha256);
  hashOf = hash;
}

/** @throws SecretsError Policy when this is not the content that was trusted */
export function checkContent(path: string, content: Uint8Array): void {
  const expected = trusted.get(path);
  if (expected !== undefined && hashOf(content) !== expected) throw changed(path);
}

/** Reads a file as text, if it may be one that was trusted. @throws SecretsError Policy, and as `readFileSync` */
export function readPinnedText(path: string): string {
  const content = readFileSync(path);
  checkContent(path, content);
  return content.toString('utf8');
}

/**
 * Compares all of them: before a program that is one, or is given some, is started.
 * @throws SecretsError Policy
 */
export function checkContents(): void {
  for (const [path, expected] of trusted) {
    let content: Buffer | undefined;
    try {
      content = readFileSync(path);
    } catch {
      // What was missing or not readable has no hash, and still has none.
    }
    if (content === undefined ? /^[0-9a-f]{64}$/.test(expected) : hashOf(content) !== expected)
      throw changed(path);
  }
}

function changed(path: string): SecretsError {
  return new SecretsError('Policy', `${path} has changed since it was trusted`, {
    hint: 'secrets trust shows what it wants and lets you accept it',
  });
}
