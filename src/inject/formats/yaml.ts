/**
 * YAML, as far as it takes to tell where a placeholder stands. Where a plain scalar could go on over several lines, or
 * the text is not understood, the placeholder is refused.
 */
import { AFTER_BACKSLASH, type Lexer, LOST, type Place, type Refusal, refusal, UNQUOTED } from './lexer.ts';
import { IN_DOUBLE, IN_SINGLE, inBlock, WHOLE } from './yaml-places.ts';

const NOT_ALONE = refusal(
  'the placeholder is not the whole value, and nothing can be escaped without quotes',
  'put the whole value in double quotes',
);
const OVER_LINES = refusal(
  'the placeholder stands in single quotes over several lines, which fold white space',
  'use double quotes',
);
const IN_HEADER = refusal(
  'the placeholder stands in the first line of a block, or in a block with its own indentation',
  'write | alone, and the placeholder on the next line',
);

type Mode = 'plain' | 'tag' | 'single' | 'double' | 'comment' | 'header' | 'block' | 'lost';

const blank = (char: string): boolean => char === ' ' || char === '\t' || char === '\r' || char === '\n';

export class YamlLexer implements Lexer {
  #mode: Mode = 'plain';
  /** A node may begin here. */
  #expects = true;
  /** A key or `- ` may begin here: at the start of a line, and after `- `. */
  #mayBeKey = true;
  #column = 0;
  #previous = '\n';
  /** Column of the last `- ` or key: what belongs to it is indented more. */
  #parent = -1;
  #keyColumn = -1;
  #flow = 0;
  /** `-`, `?` or `:`, which mean something before white space. */
  #indicator = '';
  /** `---` or `...` at the start of a line. */
  #marker = '';
  /** A placeholder was written as a whole scalar: nothing may be joined to it. */
  #pending = false;
  /** The quoted scalar is surely one, and not part of a plain scalar that goes on. */
  #sure = false;
  #escaped = false;
  /** A quote in a single-quoted scalar, which may be the first of two. */
  #quote = false;
  /** A placeholder stands in the single-quoted scalar, and whether that has several lines. */
  #held = false;
  #lines = false;
  #style: '|' | '>' = '|';
  #explicit = false;
  /** The block's indentation, found at its first line. */
  #indent: number | undefined;
  /** Only spaces so far in this line of a block. */
  #atStart = false;

  feed(text: string): Refusal | undefined {
    let wrong: Refusal | undefined;
    for (const char of text) {
      wrong = this.#read(char) ?? wrong;
      this.#previous = char;
      this.#column = char === '\n' ? 0 : this.#column + 1;
    }
    return wrong;
  }

  #read(char: string): Refusal | undefined {
    switch (this.#mode) {
      case 'double':
        return this.#double(char);
      case 'single':
        return this.#single(char);
      case 'header':
        this.#header(char);
        return undefined;
      case 'block':
        return this.#block(char);
      case 'comment':
        if (char !== '\n') return undefined;
        this.#mode = 'plain';
        break;
      case 'tag':
        if (!blank(char)) return undefined;
        this.#mode = 'plain';
        break;
      case 'lost':
        return undefined;
      case 'plain':
    }
    return this.#plain(char);
  }

  #plain(char: string): Refusal | undefined {
    const wrong = this.#pending ? this.#afterPlaceholder(char) : undefined;
    if (this.#indicator !== '') this.#indicated(char);
    if (this.#column < 3 && (char === '-' || char === '.')) this.#marker += char;
    else if (blank(char)) {
      if (this.#marker === '---' || this.#marker === '...') this.#newDocument();
      this.#marker = '';
    } else this.#marker = '';
    if (char === '\n') {
      this.#mayBeKey = true;
      return wrong;
    }
    if (blank(char)) return wrong;
    const starts = blank(this.#previous) || (this.#flow > 0 && '[{,'.includes(this.#previous));
    if (char === '#' && starts) this.#mode = 'comment';
    else if (this.#flow > 0 && ',]}'.includes(char)) {
      if (char !== ',') this.#flow -= 1;
      this.#expects = char === ',';
      this.#mayBeKey = false;
    } else if (starts) this.#token(char);
    else this.#inside(char);
    return wrong;
  }

  /** The first character of something. */
  #token(char: string): void {
    const may = this.#expects || this.#mayBeKey;
    if (this.#mayBeKey && char !== '-' && char !== '?') this.#keyColumn = this.#column;
    if ((char === '"' || char === "'") && may) {
      this.#mode = char === '"' ? 'double' : 'single';
      this.#sure = this.#expects;
      this.#held = false;
      this.#lines = false;
    } else if ((char === '|' || char === '>') && this.#expects && this.#flow === 0) {
      this.#mode = 'header';
      this.#style = char;
      this.#explicit = false;
    } else if ((char === '!' || char === '&') && this.#expects) {
      this.#mode = 'tag';
      return;
    } else if ((char === '[' || char === '{') && this.#expects) {
      this.#flow += 1;
      this.#mayBeKey = false;
      return;
    } else if ((char === '-' || char === '?') && this.#mayBeKey && this.#flow === 0) {
      this.#indicator = char;
      return;
    } else if (char === ':') this.#indicator = ':';
    this.#expects = false;
    this.#mayBeKey = false;
  }

  /** Inside of a plain scalar. */
  #inside(char: string): void {
    this.#mayBeKey = false;
    if (this.#flow > 0 && (char === '[' || char === '{') && this.#expects) {
      this.#flow += 1;
      return;
    }
    if (char === ':') this.#indicator = ':';
    else this.#expects = false;
  }

  /** The character after `-`, `?` or `:` says whether that was an indicator. */
  #indicated(char: string): void {
    const was = this.#indicator;
    this.#indicator = '';
    if (!blank(char)) {
      if (was !== ':') {
        this.#expects = false;
        this.#mayBeKey = false;
        this.#keyColumn = this.#column - 1;
      }
      return;
    }
    this.#expects = true;
    if (was === ':') this.#parent = this.#flow > 0 ? this.#parent : this.#keyColumn;
    else {
      this.#parent = this.#column - 1;
      this.#mayBeKey = true;
    }
  }

  #newDocument(): void {
    this.#expects = true;
    this.#flow = 0;
    this.#parent = -1;
    this.#keyColumn = -1;
    this.#indicator = '';
  }

  #afterPlaceholder(char: string): Refusal | undefined {
    if (char === ' ' || char === '\t' || char === '\r') return undefined;
    this.#pending = false;
    if (char === '\n' || (char === '#' && blank(this.#previous))) return undefined;
    if (this.#flow > 0 && ',]}'.includes(char)) return undefined;
    return NOT_ALONE;
  }

  #double(char: string): undefined {
    if (char === '\n' && !this.#sure) this.#mode = 'lost';
    else if (this.#escaped) this.#escaped = false;
    else if (char === '\\') this.#escaped = true;
    else if (char === '"') this.#mode = 'plain';
  }

  #single(char: string): Refusal | undefined {
    if (this.#quote) {
      this.#quote = false;
      if (char === "'") return undefined;
      this.#mode = 'plain';
      this.#previous = "'";
      return this.#plain(char);
    }
    if (char === "'") this.#quote = true;
    else if (char === '\n') {
      this.#lines = true;
      if (!this.#sure) this.#mode = 'lost';
      if (this.#held) return OVER_LINES;
    }
    return undefined;
  }

  #header(char: string): void {
    if (/\d/.test(char) && !blank(this.#previous)) this.#explicit = true;
    if (char !== '\n') return;
    this.#mode = 'block';
    this.#indent = undefined;
    this.#atStart = true;
  }

  #block(char: string): Refusal | undefined {
    if (char === '\n' || char === '\r') {
      this.#atStart = true;
      return undefined;
    }
    if (!this.#atStart || char === ' ') return undefined;
    if (this.#blockEnds()) {
      // As if the line began here: its spaces have been counted.
      this.#mode = 'plain';
      this.#expects = false;
      this.#mayBeKey = true;
      this.#previous = ' ';
      return this.#plain(char);
    }
    this.#indent ??= this.#column;
    this.#atStart = false;
    return undefined;
  }

  /** Whether a line that is indented this far no longer belongs to the block. */
  #blockEnds(): boolean {
    return this.#column < (this.#explicit ? this.#parent + 1 : (this.#indent ?? this.#parent + 1));
  }

  place(): Place | Refusal | 'comment' {
    if (this.#mode === 'single' && this.#quote) return NOT_ALONE;
    switch (this.#mode) {
      case 'comment':
        return 'comment';
      case 'double':
        if (!this.#sure) return UNQUOTED;
        return this.#escaped ? AFTER_BACKSLASH : IN_DOUBLE;
      case 'single':
        if (!this.#sure) return UNQUOTED;
        this.#held = true;
        return this.#lines ? OVER_LINES : IN_SINGLE;
      case 'header':
        return IN_HEADER;
      case 'block':
        return this.#blockPlace();
      case 'lost':
        return LOST;
      case 'tag':
        return NOT_ALONE;
      case 'plain':
        return this.#plainPlace();
    }
  }

  #blockPlace(): Place | Refusal {
    const first = this.#atStart;
    if (first && this.#blockEnds()) return NOT_ALONE;
    if (this.#explicit) return IN_HEADER;
    if (first) this.#indent ??= this.#column;
    this.#atStart = false;
    const indent = this.#indent ?? 0;
    // Without indentation a line of the value could end the document.
    return indent === 0 ? IN_HEADER : inBlock(this.#style, indent, first && this.#column === indent);
  }

  #plainPlace(): Place | Refusal {
    const starts = blank(this.#previous) || (this.#flow > 0 && '[{,'.includes(this.#previous));
    if (this.#indicator !== '' && blank(this.#previous)) this.#indicator = '';
    if (this.#pending || !starts || !this.#expects || this.#indicator !== '') return NOT_ALONE;
    this.#pending = true;
    this.#expects = false;
    this.#mayBeKey = false;
    this.#previous = '"';
    return WHOLE;
  }

  end(): undefined {}
}
