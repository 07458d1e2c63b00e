/**
 * Markup in which foreign text stays text. Values in a template are escaped unless they are markup themselves, so it
 * isn't possible to forget escaping, only to forget quotes around an attribute. Our own code, because libraries for
 * this bring a framework, and what keeps a name from becoming markup should take a minute to read.
 */
import { singleLine } from '../../core/text/sanitize.ts';

/** Text that is already markup: only `html` creates it. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** `false` and `undefined` are left out. */
export type Part = Markup | string | number | false | undefined | readonly Part[];

/** Attributes need double quotes; never insert values into a script, a style or an element's name. */
export function html(fixed: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  const lean = leanPartsOf(fixed);
  let text = lean[0] ?? '';
  for (const [index, part] of parts.entries()) text += textOf(part) + (lean[index + 1] ?? '');
  return new Markup(text);
}

const leanParts = new WeakMap<TemplateStringsArray, readonly string[]>();

/** The fixed parts without the source's indentation. */
function leanPartsOf(fixed: TemplateStringsArray): readonly string[] {
  const known = leanParts.get(fixed);
  if (known !== undefined) return known;
  const lean = fixed.map((part) => part.replaceAll(/\n\s*(?=\/?>)/g, '').replaceAll(/\n\s*/g, '\n'));
  leanParts.set(fixed, lean);
  return lean;
}

function textOf(part: Part): string {
  if (part === undefined || part === false) return '';
  if (part instanceof Markup) return part.text;
  if (typeof part === 'number') return String(part);
  if (typeof part === 'string') return escapeText(part);
  // Objects that only look like markup fail here, because they have no `map`.
  return part.map(textOf).join('');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/**
 * Safe as content and in a quoted attribute; control characters and bidirectional overrides are shown as \u escapes.
 */
export function escapeText(text: string): string {
  return singleLine(text).replaceAll(/[&<>"']/g, (char) => ENTITIES[char] ?? '');
}

/** A foreign text that can't reverse the text beside it, whatever script it is in. */
export function isolated(text: string): Markup {
  return html`<bdi>${text}</bdi>`;
}

/** A reference: `prod://pay/db`, or `prod://` for a whole store. */
export function place(store: string, secret: string | undefined): Markup {
  return html`<code>${isolated(`${store}://${secret ?? ''}`)}</code>`;
}

const NUMBERS = new Intl.NumberFormat('en');

/** `12,345`. */
export function count(value: number): string {
  return NUMBERS.format(value);
}

/** `1 finding`, `12 findings`. */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** A time, to the minute. */
export function timeOf(iso: string): Markup {
  return html`<time datetime="${iso}">${iso.slice(0, 16).replace('T', ' ')} UTC</time>`;
}
