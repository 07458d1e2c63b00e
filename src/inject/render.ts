/**
 * The two passes over a template. The first finds what the template asks for, and everything that is wrong with it;
 * the second writes. Every value is tried in every place between them, so that the second pass can't fail half-way.
 */
import { SecretsError } from '../core/errors.ts';
import { utf8 } from '../core/utf8.ts';
import { applyFilters, type Filter } from './filters.ts';
import { lexerOf } from './formats/index.ts';
import type { Format } from './formats/names.ts';
import { type Place, type Refusal, refusal, Unfit } from './formats/lexer.ts';
import { RAW } from './formats/text.ts';
import type { Source } from './source.ts';
import { type Placeholder, type Spot, TemplateScanner } from './template.ts';

export interface Template {
  readonly source: Source;
  readonly format: Format;
  /** With `--bare`, the stores whose references are replaced without {{ }}. */
  readonly stores: readonly string[] | undefined;
}

/** A reference, written in one way. */
export interface Use extends Spot {
  readonly ref: string;
  readonly filters: readonly Filter[];
  readonly place: Place;
  /** How often it is in the template. */
  count: number;
}

export interface Survey {
  /** Each reference, written in each way, where it is first. */
  readonly uses: readonly Use[];
  readonly problems: readonly SecretsError[];
  readonly hash: string;
}

type Piece =
  | { readonly kind: 'pause' }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'value'; readonly placeholder: Placeholder; readonly place: Place }
  | { readonly kind: 'problem'; readonly spot: Spot; readonly refusal: Refusal; readonly ref?: string };

/** Problems that are listed; the rest are counted. */
const MOST_PROBLEMS = 50;
/** A template that asks for more is not one. */
const MOST_USES = 10_000;
const BOM = '\xef\xbb\xbf';

/** A filter that does what the format does by itself. */
const OWN: Partial<Readonly<Record<Format, Filter>>> = { json: 'json', yaml: 'yaml', shell: 'shell' };
const TWICE = refusal(
  'the filter adds quotes, and the placeholder stands inside of quotes already',
  'remove the filter or the quotes',
);

/** The template in pieces. */
function* pieces({ source, format, stores }: Template): Iterable<Piece> {
  const scanner = new TemplateScanner(stores);
  const lexer = lexerOf(format);
  let latest: Placeholder | undefined;
  let first = true;
  function* after(wrong: Refusal | undefined): Iterable<Piece> {
    if (wrong !== undefined && latest !== undefined)
      yield { kind: 'problem', spot: latest, refusal: wrong, ref: latest.ref };
  }
  function* walk(parts: ReturnType<TemplateScanner['feed']>): Iterable<Piece> {
    for (const part of parts) {
      if (part.kind === 'text') {
        const { text } = part;
        yield* after(lexer.feed(first && text.startsWith(BOM) ? text.slice(BOM.length) : text));
        first = false;
        yield part;
      } else if (part.kind === 'malformed') {
        const { why, hint, line, column, source: text } = part.malformed;
        latest = undefined;
        // For the format it is a value, so that what follows isn't reported as well.
        if (lexer.place() === 'comment') yield { kind: 'text', text };
        else yield { kind: 'problem', spot: { line, column }, refusal: refusal(why, hint) };
      } else {
        first = false;
        const { placeholder } = part;
        const place = lexer.place();
        if (place === 'comment') {
          yield { kind: 'text', text: placeholder.source };
          continue;
        }
        latest = placeholder;
        if (place.kind === 'refusal')
          yield { kind: 'problem', spot: placeholder, refusal: place, ref: placeholder.ref };
        else yield { kind: 'value', placeholder, place };
      }
    }
  }
  for (const chunk of source.chunks()) {
    yield* walk(scanner.feed(chunk));
    yield { kind: 'pause' };
  }
  yield* walk(scanner.end());
  yield* after(lexer.end());
}

/**
 * Finds what a template asks for. Reads no value.
 * @param interrupt ends it between two chunks, however long the template is
 */
export async function survey(template: Template, interrupt: AbortSignal): Promise<Survey> {
  const steps = surveySteps(template);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await new Promise((next) => setImmediate(next));
    interrupt.throwIfAborted();
  }
}

/** The same, with a step for each chunk. */
export function* surveySteps(template: Template): Generator<void, Survey> {
  const { source, format } = template;
  const uses = new Map<string, Use>();
  const problems: SecretsError[] = [];
  let more = 0;
  const add = (spot: Spot, { why, hint }: Refusal, reference?: string): void => {
    if (problems.length < MOST_PROBLEMS)
      problems.push(new SecretsError('Invalid', `${at(source, spot)}: ${why}`, { reference, hint }));
    else more += 1;
  };
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for (const piece of pieces(template)) {
    if (piece.kind === 'pause') yield;
    else if (piece.kind === 'problem') add(piece.spot, piece.refusal, piece.ref);
    else if (piece.kind === 'text') {
      if (format !== 'text') checkText(source, decoder, piece.text);
    } else {
      const { placeholder, place } = piece;
      const { ref, filters, line, column } = placeholder;
      if (filters.includes(OWN[format] as Filter) && place.whole !== true && filters.at(-1) === OWN[format]) {
        add(placeholder, TWICE, ref);
        continue;
      }
      const key = keyOf(placeholder, place);
      const known = uses.get(key);
      if (known !== undefined) known.count += 1;
      else if (uses.size < MOST_USES) uses.set(key, { ref, filters, place, line, column, count: 1 });
      else
        throw new SecretsError(
          'Invalid',
          `${at(source, placeholder)}: more than ${MOST_USES} different placeholders`,
          {
            hint: 'split the template',
          },
        );
    }
  }
  if (more > 0) problems.push(new SecretsError('Invalid', `${source.name}: and ${more} more such problems`));
  return { uses: [...uses.values()], problems, hash: source.hash() };
}

/** One for all placeholders that are written the same way. */
function keyOf({ ref, filters }: Pick<Placeholder, 'ref' | 'filters'>, { id }: Place): string {
  return JSON.stringify([ref, filters, id]);
}

function checkText(source: Source, decoder: InstanceType<typeof TextDecoder>, text: string): void {
  try {
    decoder.decode(Buffer.from(text, 'latin1'), { stream: true });
  } catch {
    throw new SecretsError('Invalid', `${source.name} is not UTF-8 text`, {
      hint: 'convert it, or use --format text to copy its bytes as they are',
    });
  }
}

/** `FILE:LINE:COLUMN`, which editors can jump to. */
export function at(source: Source, { line, column }: Spot): string {
  return `${source.name}:${line}:${column}`;
}

/**
 * A value as it stands in the file.
 * @throws Unfit if it can't stand there
 */
export function written(
  format: Format,
  { filters, place }: Pick<Use, 'filters' | 'place'>,
  value: Uint8Array,
): Uint8Array {
  const last = filters.at(-1);
  const isOwn = last !== undefined && last === OWN[format];
  const result = applyFilters(value, isOwn ? filters.slice(0, -1) : filters);
  if (place === RAW) return result;
  const text = utf8(result);
  if (text === undefined) throw new Unfit('bytes that are not UTF-8', 'use | base64');
  const isLiteral = (last === 'number' || last === 'bool') && place.literal === true;
  return Buffer.from(isLiteral ? text : place.write(text));
}

/** Tries every value in every place. @returns what is wrong, naming places and references, never values */
export function tryAll(
  { source, format }: Template,
  uses: readonly Use[],
  valueOf: (ref: string) => Uint8Array,
): readonly SecretsError[] {
  return uses.flatMap((use) => {
    try {
      written(format, use, valueOf(use.ref));
      return [];
    } catch (thrown) {
      if (!(thrown instanceof Unfit)) throw thrown;
      const { has, hint } = thrown;
      const what = format === 'text' ? 'the value' : `the value can’t be written as ${format} here: it`;
      return [
        new SecretsError('Invalid', `${at(source, use)}: ${what} has ${has}`, { reference: use.ref, hint }),
      ];
    }
  });
}

/** Gather small pieces: one write each would be slow. */
const MOST_GATHERED = 64 * 1024;

/** Where the rendered template goes. */
export interface Output {
  write(bytes: Uint8Array): Promise<void> | void;
  /** What to tell the user if the template was changed meanwhile. */
  readonly afterChange: string;
}

/**
 * Writes the template with its values.
 * @throws SecretsError Conflict if it isn't the template that was looked at
 */
export async function render(
  template: Template,
  { hash, uses }: Survey,
  valueOf: (ref: string) => Uint8Array,
  { write, afterChange }: Output,
): Promise<void> {
  const { source, format } = template;
  // Only these have been read and tried.
  const tried = new Set(uses.map((use) => keyOf(use, use.place)));
  const changed = new SecretsError('Conflict', `${source.name} was changed while it was read`, {
    hint: afterChange,
  });
  let gathered: Uint8Array[] = [];
  let size = 0;
  const flush = async (): Promise<void> => {
    await write(Buffer.concat(gathered));
    gathered = [];
    size = 0;
  };
  for (const piece of pieces(template)) {
    if (piece.kind === 'pause') continue;
    if (piece.kind === 'problem') throw changed;
    if (piece.kind === 'value' && !tried.has(keyOf(piece.placeholder, piece.place))) throw changed;
    const bytes =
      piece.kind === 'text'
        ? Buffer.from(piece.text, 'latin1')
        : written(
            format,
            { filters: piece.placeholder.filters, place: piece.place },
            valueOf(piece.placeholder.ref),
          );
    gathered.push(bytes);
    size += bytes.length;
    if (size >= MOST_GATHERED) await flush();
  }
  if (size > 0) await flush();
  if (source.hash() !== hash) throw changed;
}
