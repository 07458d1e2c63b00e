/** What the tests of the local store share: a store in a home of its own, and its files. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { open } from '../../../src/providers/local/index.ts';
import { contextFor, now } from '../../contract/kit.ts';
import { makePlace, type Outcome, type Place } from '../../e2e/program.ts';

/** The store's folder, from a home. */
export const STORE = '.local/share/secrets/store';

export const AS_ROOT = process.getuid?.() === 0;

/** A home with a store that holds these secrets, its key in a file. */
export async function makeStore(
  secrets: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Promise<Place> {
  const place = await makePlace();
  await putInto(place, Object.entries(secrets), env);
  return place;
}

/** Puts values into the store of a home one after the other, in this process: a start of the program each takes longer. */
export async function putInto(
  place: Place,
  secrets: readonly (readonly [name: string, value: string])[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const store = open({}, contextFor({ SECRETS_LOCAL_KEY_METHOD: 'key-file', ...env }, place.home));
  for (const [name, value] of secrets) await store.put(name, { value: Buffer.from(value) }, now());
  await store.close();
}

/** Paths of all entries in a store's folder; those of one secret in order. */
export function entriesOf(store: string): string[] {
  return readdirSync(join(store, 'secrets'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.sealed'))
    .map((file) => join(store, 'secrets', file))
    .toSorted();
}

/** Flips the lowest bit of one byte of a file. */
export function flip(file: string, offset: number): void {
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(offset) ^ 1, offset);
  writeFileSync(file, bytes);
}

/** A failure that is one clear line (and a hint) with this exit code. */
export function expectRefused(outcome: Outcome, code: number, line: RegExp): void {
  expect(outcome.stderr).toMatch(line);
  expect(outcome.stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(2);
  expect(outcome.stderr).not.toMatch(/\bat .*:\d+:\d+/);
  expect({ code: outcome.code, stdout: outcome.stdout }).toEqual({ code, stdout: '' });
}
