/** What the formats of files have in common: where a placeholder stands, and how a value is written there. */

/** A value can't be written: `has` completes "the value has …". Never shows the value. */
export class Unfit extends Error {
  override readonly name = 'Unfit';
  readonly has: string;
  readonly hint: string;

  constructor(has: string, hint: string) {
    super(has);
    this.has = has;
    this.hint = hint;
  }
}

/** A place in a file of some format, and how values are written there. */
export interface Place {
  readonly kind: 'place';
  /** Two places with the same id write every value the same way. */
  readonly id: string;
  /** Whether a number or true and false can stand here without quotes. */
  readonly literal?: boolean;
  /** Whether the value is the whole value here, with quotes of its own. */
  readonly whole?: boolean;
  /** @throws Unfit for a value that the format can't hold here */
  write(value: string): string;
}

/** No placeholder can stand here. */
export interface Refusal {
  readonly kind: 'refusal';
  readonly why: string;
  readonly hint: string;
}

/** Follows the text of a template in one format. */
export interface Lexer {
  /** @returns what is wrong with the text after the last placeholder */
  feed(text: string): Refusal | undefined;
  /** Where a placeholder stands that comes now. In a comment it isn't replaced. */
  place(): Place | Refusal | 'comment';
  /** @returns what is wrong with the end of the file after the last placeholder */
  end(): Refusal | undefined;
}

export function refusal(why: string, hint: string): Refusal {
  return { kind: 'refusal', why, hint };
}

export function place(id: string, write: (value: string) => string, more: Partial<Place> = {}): Place {
  return { kind: 'place', id, write, ...more };
}

export const AFTER_BACKSLASH = refusal(
  'the placeholder follows a backslash, which would escape the value’s first character',
  'remove the backslash',
);

/** For a part of a value that has no quotes. */
export const UNQUOTED = refusal(
  'the placeholder is a part of a value without quotes, where nothing can be escaped',
  'put the whole value in double quotes',
);

/** After a construct that is hard to read without the language's own parser. */
export const LOST = refusal(
  'what stands above the placeholder is too hard to read to tell how to quote the value',
  'move the line with the placeholder to the top of the file',
);

/** @throws Unfit */
export function checkNo(value: string, pattern: RegExp, has: string, hint: string): void {
  if (pattern.test(value)) throw new Unfit(has, hint);
}

export const OTHER_FORM = 'use | base64, or another format';
