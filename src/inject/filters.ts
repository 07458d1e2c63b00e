/** `{{ REF | filter }}`: how a value is changed before it is written. Pure. */
import { yamlString } from '../core/environment/formats.ts';
import { Unfit } from './formats/lexer.ts';
import { utf8 } from '../core/utf8.ts';

export const FILTERS = ['base64', 'json', 'shell', 'yaml', 'url', 'number', 'bool'] as const;
export type Filter = (typeof FILTERS)[number];

export function isFilter(word: string): word is Filter {
  return (FILTERS as readonly string[]).includes(word);
}

/** JSON's, without exponents: YAML 1.1 reads those as text. */
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$/;

const WRITERS: Readonly<Record<Exclude<Filter, 'base64'>, (text: string) => string>> = {
  json: (text) => JSON.stringify(text),
  shell: (text) => {
    if (text.includes('\0')) throw new Unfit('a NUL byte, which a shell can’t hold', 'use | base64');
    return `'${text.replaceAll("'", "'\\''")}'`;
  },
  yaml: yamlString,
  // RFC 3986: everything but unreserved characters.
  url: (text) =>
    encodeURIComponent(text).replace(
      /[!'()*]/g,
      (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
    ),
  number: (text) => {
    if (NUMBER.test(text)) return text;
    throw new Unfit('something that is not a number', 'leave | number out');
  },
  bool: (text) => {
    if (text === 'true' || text === 'false') return text;
    throw new Unfit('something that is neither true nor false', 'leave | bool out');
  },
};

/** @throws Unfit for a value that the filter can't take */
export function applyFilters(value: Uint8Array, filters: readonly Filter[]): Uint8Array {
  let result = value;
  for (const filter of filters) {
    if (filter === 'base64') {
      result = Buffer.from(Buffer.from(result).toString('base64'));
      continue;
    }
    const text = utf8(result);
    if (text === undefined) throw new Unfit('bytes that are not UTF-8', 'use | base64');
    result = Buffer.from(WRITERS[filter](text));
  }
  return result;
}
