/**
 * Splits a template into text and placeholders, one chunk after another, so that a template of any size needs little
 * memory. Chunks are in Latin-1, one character for each byte: the borders of chunks may split a UTF-8 character.
 */
import { FILTERS, type Filter, isFilter } from './filters.ts';

/** A place in the template, counted from 1; the column counts characters. */
export interface Spot {
  readonly line: number;
  readonly column: number;
}

export interface Placeholder extends Spot {
  /** The reference as it is written. */
  readonly ref: string;
  readonly filters: readonly Filter[];
  /** What stands in the template. */
  readonly source: string;
}

export interface Malformed extends Spot {
  readonly why: string;
  readonly hint: string;
  /** What stands in the template. */
  readonly source: string;
}

export type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'placeholder'; readonly placeholder: Placeholder }
  | { readonly kind: 'malformed'; readonly malformed: Malformed };

/** A reference is no longer than 8,192 characters. */
const LONGEST = 10_000;
/** `{{ "{{" }}` stands for `{{`, as in templates of Go. */
const LITERAL = /^\{\{\s*"(\{\{|\}\})"\s*\}\}/;
/** What ends a reference that stands in the text (`--bare`). Everything else in a name needs {{ }}. */
const BARE_REST = '[\\w./%#?=&+~-]';
/** Longest word that may be a store's name, with `://`. */
const LONGEST_SCHEME = 67;

/** Finds a word again and again, further on each time: each character of the text is looked at once. */
class Finder {
  readonly #text: string;
  readonly #word: string;
  #at = -2;

  constructor(text: string, word: string) {
    this.#text = text;
    this.#word = word;
  }

  /** @returns -1 if there is none */
  from(start: number): number {
    if (this.#at !== -1 && this.#at < start) this.#at = this.#text.indexOf(this.#word, start);
    return this.#at;
  }
}

export class TemplateScanner {
  readonly #bare: RegExp | undefined;
  #rest = '';
  #line = 1;
  #column = 1;
  /** The last character of the text before, which decides whether a store's name begins a word. */
  #before = '';

  /** @param stores with `--bare`, the stores whose references are recognised in the text */
  constructor(stores?: Iterable<string>) {
    const names = [...(stores ?? [])].map((name) => name.replaceAll('-', '\\-'));
    this.#bare =
      names.length === 0
        ? undefined
        : new RegExp(`(?<![\\w.+@:/%-])(?:${names.join('|')})://${BARE_REST}+`, 'g');
  }

  feed(chunk: string): readonly Part[] {
    return this.#scan(this.#rest + chunk, false);
  }

  end(): readonly Part[] {
    return this.#scan(this.#rest, true);
  }

  #scan(text: string, last: boolean): readonly Part[] {
    const parts: Part[] = [];
    const ends = { close: new Finder(text, '}}'), line: new Finder(text, '\n') };
    let at = 0;
    for (;;) {
      const open = text.indexOf('{{', at);
      const until = open === -1 ? this.#holdBack(text, at, last) : open;
      this.#addText(parts, text.slice(at, until), open !== -1 || last);
      at = until;
      if (open === -1) break;
      const length = this.#placeholder(parts, text, open, last, ends);
      if (length === 0) break;
      at = open + length;
    }
    this.#rest = text.slice(at);
    return parts;
  }

  /** How much of a text without `{{` can't be part of a placeholder that goes on in the next chunk. */
  #holdBack(text: string, from: number, last: boolean): number {
    if (last) return text.length;
    let end = text.endsWith('{') ? text.length - 1 : text.length;
    if (this.#bare !== undefined) {
      const word = new RegExp(`(?:[a-z][a-z0-9_-]{0,63}:?/?/?|[a-z][a-z0-9_-]{0,63}://${BARE_REST}*)$`).exec(
        text.slice(Math.max(from, end - LONGEST), end),
      );
      if (word !== null && (word[0].length <= LONGEST_SCHEME || word[0].includes('://')))
        end -= word[0].length;
    }
    return Math.max(from, end);
  }

  /** @returns the length in the text; 0 if the next chunk is needed */
  #placeholder(
    parts: Part[],
    text: string,
    open: number,
    last: boolean,
    ends: { readonly close: Finder; readonly line: Finder },
  ): number {
    const near = text.slice(open, open + LONGEST);
    const literal = LITERAL.exec(near);
    if (literal !== null) {
      this.#addText(parts, literal[1] as string, true, false);
      this.#count(literal[0]);
      return literal[0].length;
    }
    const [close, lineEnd] = [ends.close.from(open + 2), ends.line.from(open)].map((end) =>
      end === -1 || end >= open + LONGEST ? -1 : end - open,
    ) as [number, number];
    const closed = close !== -1 && (lineEnd === -1 || close < lineEnd);
    // `{{ "}}" }}` may still be coming.
    if (!last && near.length < LONGEST && (closed ? open + close + 6 > text.length : lineEnd === -1))
      return 0;
    const spot = { line: this.#line, column: this.#column };
    const source = closed ? near.slice(0, close + 2) : (/^\{+/.exec(near)?.[0] ?? '');
    this.#count(source);
    if (!closed) {
      parts.push(
        malformed(source, spot, '{{ is not closed on its line', 'close it with }}, or write {{ "{{" }}'),
      );
      return source.length;
    }
    parts.push(parsePlaceholder(source, spot));
    return source.length;
  }

  #addText(parts: Part[], text: string, complete: boolean, counts = true): void {
    if (text === '') return;
    if (this.#bare === undefined || !counts) {
      if (counts) this.#count(text);
      this.#before = text.at(-1) as string;
      parts.push({ kind: 'text', text });
      return;
    }
    // The character before the text decides about a reference at its start.
    const whole = this.#before + text;
    const skip = this.#before.length;
    let at = skip;
    for (const match of whole.matchAll(this.#bare)) {
      const source = match[0].replace(/[.?=&]+$/, '');
      if (
        match.index < skip ||
        source.endsWith('/') ||
        (!complete && match.index + match[0].length > whole.length)
      )
        continue;
      this.#plain(parts, whole.slice(at, match.index));
      const spot = { line: this.#line, column: this.#column };
      this.#count(source);
      const ref = Buffer.from(source, 'latin1').toString();
      parts.push({ kind: 'placeholder', placeholder: { ...spot, ref, filters: [], source } });
      at = match.index + source.length;
    }
    this.#plain(parts, whole.slice(at));
    this.#before = whole.at(-1) as string;
  }

  #plain(parts: Part[], text: string): void {
    if (text === '') return;
    this.#count(text);
    parts.push({ kind: 'text', text });
  }

  #count(text: string): void {
    let from = 0;
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', from)) {
      this.#line += 1;
      this.#column = 1;
      from = at + 1;
    }
    for (; from < text.length; from += 1) {
      // Bytes 10xxxxxx continue a UTF-8 character.
      if ((text.charCodeAt(from) & 0xc0) !== 0x80) this.#column += 1;
    }
  }
}

function malformed(source: string, spot: Spot, why: string, hint: string): Part {
  return { kind: 'malformed', malformed: { ...spot, why, hint, source } };
}

/** Words that begin a tag of consul-template, Vault Agent, Helm or Jinja. */
const OTHER_TEMPLATE =
  /^(?:-?\s*(?:else|end)\b\s*-?$|-?\s*(?:with|range|if|else|define|block|include|template|lookup|printf|key|secret|env|file)\s+[^\s|]|[.$#/!>^&({-])/;

function parsePlaceholder(source: string, spot: Spot): Part {
  const inner = Buffer.from(source.slice(2, -2), 'latin1').toString().trim();
  if (inner === '') return malformed(source, spot, 'the placeholder is empty', 'write {{ REF }}');
  if (OTHER_TEMPLATE.test(inner))
    return malformed(
      source,
      spot,
      'this is a tag of another template language',
      'write {{ REF }}; docs/inject.md shows what to write instead',
    );
  const [ref = '', ...words] = inner.split('|').map((word) => word.trim());
  if (ref === '' || /["'`\s]/.test(ref))
    return malformed(
      source,
      spot,
      'this is not a reference',
      'write {{ STORE://NAME#KEY }}, and %20 for a space in a name',
    );
  const unknown = words.find((word) => !isFilter(word));
  if (unknown !== undefined)
    return malformed(
      source,
      spot,
      unknown === '' ? 'a filter is missing after |' : 'there is no such filter',
      `the filters are ${FILTERS.join(', ')}; write %7C for a | in a name`,
    );
  return { kind: 'placeholder', placeholder: { ...spot, ref, filters: words as readonly Filter[], source } };
}
