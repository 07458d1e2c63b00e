import { createHash } from 'node:crypto';
import { isAbsolute, join, resolve } from 'node:path';
import { combineErrors, SecretsError } from '../core/errors.ts';
import { isPlainText } from '../core/utf8.ts';
import { type MaskStreams, NOT_REGISTERED, registerMasks } from '../exec/github.ts';
import { formatOf } from '../inject/formats/index.ts';
import type { Format } from '../inject/formats/names.ts';
import { checkPlace, OutputFile, removeLeftovers } from '../platform/output-file.ts';
import {
  at,
  type Output,
  render,
  type Survey,
  survey,
  type Template,
  tryAll,
  type Use,
} from '../inject/render.ts';
import { checkIgnored } from '../inject/repository.ts';
import { openSource } from '../inject/source.ts';
import type { Resolved } from '../session/resolver.ts';
import type { Session } from '../session/session.ts';
import type { CommonOptions } from '../session/options.ts';
import type { Invocation } from './command.ts';
import { checkWatchFlags, type InjectWatchFlags, type Rendered, watchFile } from './inject-watch.ts';

interface InjectOptions extends CommonOptions, InjectWatchFlags, Pick<MaskStreams, 'maskOnStderr'> {
  readonly format?: Format;
  readonly bare?: boolean;
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

/** Where the file goes: its absolute path and how the user wrote it. */
interface Destination {
  readonly path: string;
  readonly shown: string;
  /** @throws SecretsError Policy for a file that git would commit */
  readonly checkRepository: () => void;
}

export async function run(session: Session, { args, options }: Invocation<InjectOptions>): Promise<void> {
  checkWatchFlags(options, args);
  const out = destinationOf(session, options);
  if (out !== undefined && options.dryRun !== true) {
    checkPlace(out.path, out.shown);
    out.checkRepository();
  }
  const template = await templateOf(session, options);
  if (options.dryRun === true)
    await showUses(session, template, await survey(template, session.interrupt.signal));
  else if (out === undefined) await renderOnce(session, template, undefined, options);
  else if (options.watch === true) {
    const path = resolve(session.world.cwd, options.in as string);
    await watchFile(session, options, args, path, (last) =>
      renderOnce(session, template, out, options, last),
    );
  } else await renderOnce(session, template, out, options);
}

/**
 * Renders the template to the file, or to stdout.
 * @param last leaves a file in place that has this hash
 */
async function renderOnce(
  session: Session,
  template: Template,
  out: Destination | undefined,
  { maskOnStderr }: InjectOptions,
  last?: string,
): Promise<Rendered> {
  const found = await survey(template, session.interrupt.signal);
  const { values, sources } = await readValues(session, template, found);
  await registerWith(session, values, { maskOnStderr, stdoutIsResult: out === undefined });
  const rendering = { template, found, values };
  if (out !== undefined) return { sources, hash: await writeFile(session, rendering, out, last) };
  await printAll(session, rendering);
  return { sources, hash: '' };
}

/** What is rendered. */
interface Rendering {
  readonly template: Template;
  readonly found: Survey;
  readonly values: ReadonlyMap<string, Uint8Array>;
}

function renderTo({ template, found, values }: Rendering, output: Output): Promise<void> {
  return render(template, found, (ref) => values.get(ref) as Uint8Array, output);
}

/** @throws SecretsError Usage */
function destinationOf({ world }: Session, options: InjectOptions): Destination | undefined {
  const { in: template, out } = options;
  for (const [flag, value] of [
    ['-i', template],
    ['-o', out],
  ] as const) {
    if (value === '' || value === '-')
      throw new SecretsError('Usage', `${flag} takes a file`, {
        hint: `omit it for ${flag === '-i' ? 'stdin' : 'stdout'}`,
      });
  }
  if (template === undefined && world.stdin.isTTY === true)
    throw new SecretsError('Usage', 'no template', { hint: 'name it with -i, or pipe it in' });
  if (out === undefined) return undefined;
  const path = isAbsolute(out) ? out : join(world.cwd, out);
  if (template !== undefined && resolve(world.cwd, template) === resolve(path))
    throw new SecretsError('Usage', '-i and -o are the same file', {
      hint: 'the template would be lost; give it a name of its own, such as config.json.tmpl',
    });
  return {
    path,
    shown: out,
    checkRepository: () => {
      if (options.force !== true) checkIgnored(path, out, world);
    },
  };
}

async function templateOf(session: Session, options: InjectOptions): Promise<Template> {
  const { world } = session;
  const { in: file, out, bare } = options;
  const path = file === undefined || isAbsolute(file) ? file : join(world.cwd, file);
  const format = options.format ?? formatOf(out ?? '') ?? formatOf(file ?? '') ?? 'text';
  const source = await openSource(path, file ?? 'stdin', world.stdin);
  const stores = bare === true ? [...(await session.config()).stores.keys()] : undefined;
  return { source, format, stores };
}

/** The references of a template, each once. */
function refsOf({ uses }: Survey): readonly string[] {
  return [...new Set(uses.map(({ ref }) => ref))];
}

/**
 * Reads everything that the template asks for.
 * @throws SecretsError one that lists every failure
 */
async function readValues(
  session: Session,
  template: Template,
  found: Survey,
): Promise<{ readonly values: ReadonlyMap<string, Uint8Array>; readonly sources: readonly Resolved[] }> {
  const errors = [...found.problems];
  const first = new Map<string, Use>();
  for (const use of found.uses) if (!first.has(use.ref)) first.set(use.ref, use);
  const readable = refsOf(found).filter((ref) => {
    const refused = nativeRefusal(session, template, first.get(ref) as Use);
    if (refused !== undefined) errors.push(refused);
    return refused === undefined;
  });
  const results = await session.resolveEach(readable);
  const values = new Map<string, Uint8Array>();
  for (const [index, ref] of readable.entries()) {
    const result = results[index] as Resolved;
    if (result.ok) values.set(ref, result.value);
    else errors.push(placed(template, first.get(ref) as Use, result.error));
  }
  const good = found.uses.filter(({ ref }) => values.has(ref));
  errors.push(...tryAll(template, good, (ref) => values.get(ref) as Uint8Array));
  if (errors.length > 0)
    throw combineErrors(errors, `${errors.length} failures in ${template.source.name}; nothing was written`);
  return { values, sources: results };
}

/** The same error with the place in the template. */
function placed({ source }: Template, use: Use, error: SecretsError): SecretsError {
  return new SecretsError(error.kind, `${at(source, use)}: ${error.message}`, {
    reference: error.reference,
    hint: error.hint,
    cause: error,
    errors: error.errors,
  });
}

/**
 * A template may be a stranger's. An ARN or the like names an account, project or vault, as no other reference can
 * before somebody has accepted it.
 */
function nativeRefusal(
  { world, options }: Session,
  { source }: Template,
  use: Use,
): SecretsError | undefined {
  const [identifier = ''] = use.ref.split('#', 1);
  if (options.trust === true || !world.providers.some(({ native }) => native?.(identifier) !== undefined))
    return undefined;
  return new SecretsError(
    'Policy',
    `${at(source, use)}: a native identifier in a template chooses the account, project or vault`,
    { reference: use.ref, hint: 'look at the template, and pass --trust; or write STORE://NAME' },
  );
}

/** `--dry-run`: what the template asks for, and what is wrong with it. Reads no value. */
async function showUses(session: Session, template: Template, { uses, problems }: Survey): Promise<void> {
  if (problems.length > 0)
    throw combineErrors(problems, `${problems.length} failures in ${template.source.name}`);
  if (session.options.json === true) {
    await session.printJson({
      template: template.source.name,
      format: template.format,
      placeholders: uses.map(({ ref, filters, line, column, count }) => ({
        reference: ref,
        filters,
        line,
        column,
        count,
      })),
    });
    return;
  }
  const { singleLine } = await import('../core/text/sanitize.ts');
  for (const use of uses) {
    const filters = use.filters.map((filter) => ` | ${filter}`).join('');
    await session.print(singleLine(`${at(template.source, use)}: ${use.ref}${filters}`) + '\n');
  }
}

async function registerWith(
  session: Session,
  values: ReadonlyMap<string, Uint8Array>,
  streams: MaskStreams,
): Promise<void> {
  if (session.world.env['GITHUB_ACTIONS'] !== 'true') return;
  const done = await registerMasks(session.world, values.values(), streams);
  if (!done) session.warn(NOT_REGISTERED);
}

async function printAll(session: Session, rendering: Rendering): Promise<void> {
  if (session.world.stdout.isTTY !== true) {
    await renderTo(rendering, {
      write: (bytes) => session.print(bytes),
      afterChange: 'what was printed is not complete; repeat it',
    });
    return;
  }
  const chunks: Uint8Array[] = [];
  await renderTo(rendering, {
    write: (bytes) => void chunks.push(bytes),
    afterChange: 'nothing was printed; repeat it',
  });
  const all = Buffer.concat(chunks);
  // A terminal obeys control characters: a template or a value must not be able to give it orders (CWE-150).
  if (!isPlainText(all))
    throw new SecretsError(
      'Invalid',
      'the result has control characters or is not UTF-8, so it is not shown on a terminal',
      { hint: 'use -o FILE, or a pipe' },
    );
  await session.print(all);
  session.note('the secrets are now on your screen and in its scrollback');
}

/** @returns a hash of the file's content */
async function writeFile(
  session: Session,
  rendering: Rendering,
  { path, shown, checkRepository }: Destination,
  last: string | undefined,
): Promise<string> {
  const { mode } = checkPlace(path, shown);
  // A watch runs for weeks, and .gitignore changes.
  if (last !== undefined) checkRepository();
  removeLeftovers(path);
  let made: OutputFile | undefined;
  // First: a signal before this is heard would leave the folder.
  const stop = discardOnSignal(session, () => made?.discard());
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    const file = new OutputFile(path);
    made = file;
    const write = async (chunk: Uint8Array): Promise<void> => {
      file.write(chunk);
      hash.update(chunk);
      bytes += chunk.length;
      // Lets signals through, in a template of any size.
      await new Promise((next) => setImmediate(next));
      session.interrupt.signal.throwIfAborted();
    };
    await renderTo(rendering, { write, afterChange: 'nothing was written; repeat it' });
    const digest = hash.digest('hex');
    if (digest === last) file.discard();
    else file.commit();
    if (digest !== last) await reportFile(session, rendering, { path, shown, bytes, mode });
    return digest;
  } catch (thrown) {
    made?.discard();
    throw thrown;
  } finally {
    stop();
  }
}

async function reportFile(
  session: Session,
  { template: { format }, found }: Rendering,
  file: Pick<Destination, 'path' | 'shown'> & { readonly bytes: number; readonly mode: number | undefined },
): Promise<void> {
  const { path, shown, bytes, mode } = file;
  if (mode !== undefined && mode !== 0o600)
    session.warn(`${shown} had mode ${mode.toString(8)}, and has 600 now: only you can read it`);
  const references = refsOf(found).length;
  if (session.options.json === true)
    await session.printJson({ out: path, format, references, bytes, replaced: mode !== undefined });
  else session.note(`wrote ${shown} (${format}, ${references} ${references === 1 ? 'secret' : 'secrets'})`);
}

/** A signal that ends the process takes the unfinished file with it. */
function discardOnSignal({ world }: Session, discard: () => void): () => void {
  const stops = (['SIGTERM', 'SIGHUP'] as const).map((signal) => {
    const stop = world.onSignal(signal, () => {
      discard();
      stop();
      process.kill(process.pid, signal);
    });
    return stop;
  });
  return () => {
    for (const stop of stops) stop();
  };
}
