/** The decisions of copying between stores, without any I/O: names, equality, and where to continue a history. */
import type { SecretVersion } from './secret.ts';
import type { JsonDocument } from './document/document.ts';
import { ownObject } from './document/secret.ts';
import { SecretsError } from './errors.ts';
import { compareText } from './order.ts';

/** A secret and its name on the other side. */
export interface Pair {
  readonly source: string;
  readonly target: string;
}

/** `/=--`: every `/` in a name becomes `--`. */
export interface Replacement {
  readonly from: string;
  readonly to: string;
}

/** @throws SecretsError Usage */
export function parseReplacement(text: string): Replacement {
  const place = text.indexOf('=', 1);
  if (place === -1) {
    throw new SecretsError('Usage', `${JSON.stringify(text)} is not a replacement`, {
      hint: 'write FROM=TO, such as /=--',
    });
  }
  return { from: text.slice(0, place), to: text.slice(place + 1) };
}

/**
 * The names on the other side: the prefix is exchanged, then the replacements are applied in order.
 * @throws SecretsError Usage if two secrets would get the same name
 */
export function pairNames(
  names: readonly string[],
  prefixes: { readonly source: string; readonly target: string },
  replacements: readonly Replacement[],
): readonly Pair[] {
  const sources = new Map<string, string>();
  return names.map((source) => {
    let rest = source.slice(prefixes.source.length);
    for (const { from, to } of replacements) rest = rest.replaceAll(from, to);
    const target = `${prefixes.target}${rest}`;
    const other = sources.get(target);
    if (other !== undefined) {
      throw new SecretsError('Usage', `${other} and ${source} would both become ${target}`, {
        hint: 'choose another --replace, or copy one of them separately',
      });
    }
    sources.set(target, source);
    return { source, target };
  });
}

/** The names in an order that is the same on every machine. */
export function sortedNames(names: Iterable<string>): string[] {
  return [...names].sort(compareText);
}

type Valued = Pick<SecretVersion, 'value'>;

/**
 * Whether two values are the same secret: the same bytes, or JSON objects that read the same (`JsonDocument.equals`),
 * because a store that keeps maps doesn't preserve white space and order.
 */
export function sameValue(a: Valued, b: Valued): boolean {
  if (Buffer.compare(a.value, b.value) === 0) return true;
  const [left, right] = [ownObject(a.value), ownObject(b.value)];
  return left !== undefined && right !== undefined && left.equals(right);
}

/** Names of the keys whose values differ; undefined if one of the values has no keys. */
export function changedKeys(a: Valued, b: Valued): readonly string[] | undefined {
  const [left, right] = [ownObject(a.value), ownObject(b.value)];
  if (left === undefined || right === undefined) return undefined;
  const of = (document: JsonDocument, key: string): string | undefined => {
    const node = document.member(key);
    return node && document.canonical(node);
  };
  return sortedNames(new Set([...left.keys, ...right.keys])).filter(
    (key) => of(left, key) !== of(right, key),
  );
}

/**
 * How many of the source's versions, oldest first, the target already has: an interrupted copy continues after them.
 * Undefined if the target has versions of its own, which a copied history would bury.
 */
export function copiedVersions(source: readonly Valued[], target: readonly Valued[]): number | undefined {
  if (target.length > source.length) return undefined;
  return target.every((version, index) => sameValue(version, source[index] as Valued))
    ? target.length
    : undefined;
}
