import { lstatSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { combineErrors, SecretsError, settleAll, toSecretsError } from '../core/errors.ts';
import type { Resolved } from '../session/resolver.ts';
import { codeOf, fileError } from '../platform/files.ts';
import { compact, secretJson, valueJson, versionJson } from '../output/shapes.ts';
import { isPlainText } from '../core/utf8.ts';
import type { Session } from '../session/session.ts';
import type { CommonOptions } from '../session/options.ts';
import type { Invocation } from './command.ts';

interface GetOptions extends CommonOptions {
  readonly newline?: boolean;
  readonly out?: string;
  readonly raw?: boolean;
  readonly metadata?: boolean;
  readonly default?: string;
}

export async function run(session: Session, { args, options }: Invocation<GetOptions>): Promise<void> {
  if (options.metadata === true) {
    await printMetadata(session, args);
    return;
  }
  if (options.out !== undefined && args.length > 1) {
    throw new SecretsError('Usage', '--out takes one reference', { hint: 'run get once for each file' });
  }
  if (options.out !== undefined) checkOut(options.out);
  const resolved = await session.resolve(args);
  const usable = (result: Resolved): boolean =>
    result.ok || (options.default !== undefined && result.error.kind === 'NotFound');
  const errors = resolved.flatMap((result) => (result.ok || usable(result) ? [] : [result.error]));
  if (errors.length > 0) throw combineErrors(errors, `${errors.length} of ${args.length} references failed`);

  const valueOf = (result: Resolved): Uint8Array =>
    result.ok ? result.value : Buffer.from(options.default ?? '');
  if (options.out !== undefined) {
    const [result] = resolved as readonly [Resolved];
    await writeOut(session, options.out, result.target.text, valueOf(result));
    return;
  }
  if (options.json === true) {
    const objects = resolved.map((result) => ({
      reference: result.target.text,
      ...valueJson(valueOf(result)),
      ...(result.ok ? versionJson(result.secret) : {}),
    }));
    await session.printJson(args.length === 1 ? objects[0] : objects);
    return;
  }
  const terminal = session.world.stdout.isTTY === true;
  const newline = options.newline === true || args.length > 1 || terminal;
  for (const result of resolved) {
    const value = valueOf(result);
    if (terminal && options.raw !== true) checkPrintable(value, result.target.text);
    await session.print(newline ? Buffer.concat([value, Buffer.from('\n')]) : value);
  }
}

/** What `-o` is followed by in kubectl, aws, az, gcloud and others, where it names how to print. */
const OUTPUT_FORMAT =
  /^(?:jsonc?|yamlc?|yml|text|txt|table|tsv|csv|wide|name|none|raw|plain|value|env|dotenv|toml|xml|flattened|default|stdout|(?:jsonpath|go-template|custom-columns|template|value|get)(?:-as-json|-file)?[=(].*)$/is;

/**
 * A habit from another tool must not leave the value in a file named `json`.
 * @throws SecretsError Usage
 */
function checkOut(out: string): void {
  const file = `--out ./${out}`;
  if (out === '-' || out === '--')
    throw new SecretsError('Usage', '--out takes a file', {
      hint: `omit it for stdout; for a file of this name: ${file}`,
    });
  if (out === '' || /^[-=]/.test(out))
    throw new SecretsError(
      'Usage',
      `--out takes a file, and ${JSON.stringify(out.slice(0, 100))} looks like an option`,
      {
        hint: out === '' ? 'name a file' : `for a file of this name: ${file}`,
      },
    );
  if (/^[a-z][a-z0-9-]*:\/\//i.test(out))
    throw new SecretsError('Usage', '--out takes a file, and this is a reference', {
      hint: 'secrets copy FROM TO copies secrets',
    });
  if (OUTPUT_FORMAT.test(out))
    throw new SecretsError(
      'Usage',
      `--out writes the value to a file, and ${out.slice(0, 100)} looks like a format`,
      {
        hint: `use --json to print JSON; for a file of this name: ${file}`,
      },
    );
}

/** Writes the value to a file for its owner alone; says so when that replaces one. */
async function writeOut(session: Session, out: string, reference: string, value: Uint8Array): Promise<void> {
  const path = isAbsolute(out) ? out : join(session.world.cwd, out);
  let replaced = false;
  try {
    const stats = lstatSync(path);
    if (!stats.isFile()) {
      const what = stats.isSymbolicLink() ? 'a symbolic link, which is not followed' : 'not a regular file';
      throw new SecretsError('Denied', `${path} is ${what}`, { hint: 'name another file, or use a pipe' });
    }
    replaced = true;
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT') throw fileError(thrown, 'cannot write the value', path);
  }
  const { writeOutput } = await import('../platform/output-file.ts');
  writeOutput(path, value);
  if (replaced) session.warn(`replaced the existing file ${out}`);
  if (session.options.json === true)
    await session.printJson({ reference, out: path, bytes: value.length, replaced });
  else session.note(`${reference}: written to ${out}`);
}

async function printMetadata(session: Session, args: readonly string[]): Promise<void> {
  const targets = await Promise.all(args.map((text) => session.target(text)));
  const { results: objects, errors } = await settleAll(
    targets.map(async (target) => {
      try {
        const provider = await session.open(target.store, target.native);
        const info = await provider.describe(target.reference.name, session.call());
        return secretJson(target.store, info);
      } catch (thrown) {
        throw toSecretsError(thrown).forReference(target.text);
      }
    }),
  );
  if (errors.length > 0) throw combineErrors(errors, `${errors.length} of ${args.length} references failed`);
  await session.printJson(args.length === 1 ? objects[0] : objects.map((object) => compact({ ...object })));
}

/** A terminal obeys control characters: a stored value must not be able to give it orders (CWE-150). */
function checkPrintable(value: Uint8Array, reference: string): void {
  if (isPlainText(value)) return;
  throw new SecretsError('Invalid', 'the value is not plain text, so it is not shown on a terminal', {
    reference,
    hint: 'use --out FILE, a pipe, or --raw',
  });
}
