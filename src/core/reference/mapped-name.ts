/**
 * Names in lower-case letters, digits and `-`, for stores that allow no others. The mapping is reversible, and no two
 * names map to the same one: `/` becomes `--`, `-` stays, any other byte of the UTF-8 form becomes `---` and two
 * hexadecimal digits. Where two runs of hyphens would touch, the first one is written in the long form too.
 */

const PLAIN = /^[a-z0-9]$/;

/** In the form that is stored. */
export function mappedName(name: string): string {
  const characters = [...name];
  return characters
    .map((character, index) => {
      if (PLAIN.test(character)) return character;
      const next = characters[index + 1];
      const touches = next !== undefined && !PLAIN.test(next);
      if (character === '-' && !touches) return '-';
      if (character === '/' && !touches) return '--';
      return [...Buffer.from(character)].map((byte) => `---${byte.toString(16).padStart(2, '0')}`).join('');
    })
    .join('');
}

/** The name that is stored in this form, in whatever case; undefined if there is none. */
export function nameOfMapped(mapped: string): string | undefined {
  const lower = mapped.toLowerCase();
  const name = decode(lower);
  return name !== undefined && mappedName(name) === lower ? name : undefined;
}

function decode(mapped: string): string | undefined {
  const bytes: number[] = [];
  for (const [token] of mapped.matchAll(/---[0-9a-f]{2}|-+|[^-]/g)) {
    if (token === '-' || !token.startsWith('-')) bytes.push(token.charCodeAt(0));
    else if (token === '--') bytes.push(0x2f);
    else if (/^---[0-9a-f]{2}$/.test(token)) bytes.push(Number.parseInt(token.slice(3), 16));
    else return undefined;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    return undefined;
  }
}
