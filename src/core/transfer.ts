/** What copying between stores decides, apart from any I/O: names, sameness, and where a history goes on. */
import type { SecretVersion } from '../providers/provider.ts';
import { SecretsError } from './errors.ts';
import { isJsonObject, parseJson } from './json.ts';

/** One secret and the name it gets on the other side. */
export interface Pair {
  readonly source: string;
  readonly target: string;
}

/** `/=--`: every `/` of a name becomes `--`. */
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
 * The names of the other side: the prefix exchanged, then the replacements, in their order.
 * @throws SecretsError Usage when two secrets would get one name
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
        hint: 'choose another --replace, or copy one of them by itself',
      });
    }
    sources.set(target, source);
    return { source, target };
  });
}

/** The names in some order that is the same on every machine. */
export function sortedNames(names: Iterable<string>): string[] {
  return [...names].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

type Valued = Pick<SecretVersion, 'value' | 'fields'>;

/**
 * Whether two values are the same secret: the same bytes, or JSON objects of the same keys and values, since a
 * store that keeps maps does not keep their white space and order.
 */
export function sameValue(a: Valued, b: Valued): boolean {
  if (Buffer.compare(a.value, b.value) === 0) return true;
  const [left, right] = [documentOf(a), documentOf(b)];
  return left !== undefined && right !== undefined && canonical(left) === canonical(right);
}

/** Names of the keys whose values differ; undefined when one of the two has no keys. */
export function changedKeys(a: Valued, b: Valued): readonly string[] | undefined {
  const [left, right] = [documentOf(a), documentOf(b)];
  if (left === undefined || right === undefined) return undefined;
  const of = (document: object, key: string): unknown =>
    Object.hasOwn(document, key) ? (document as Record<string, unknown>)[key] : undefined;
  return sortedNames(new Set([...Object.keys(left), ...Object.keys(right)])).filter(
    (key) => canonical(of(left, key)) !== canonical(of(right, key)),
  );
}

function documentOf({ value, fields }: Valued): object | undefined {
  if (fields !== undefined) return fields;
  try {
    const document = parseJson(value);
    return isJsonObject(document) ? document : undefined;
  } catch {
    return undefined;
  }
}

/** One text for all ways to write a JSON document. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    isJsonObject(inner)
      ? Object.fromEntries(sortedNames(Object.keys(inner)).map((key) => [key, inner[key]]))
      : inner,
  );
}

/**
 * How many versions of the source, oldest first, the target has already: an interrupted copy goes on after them.
 * Undefined when the target has versions of its own, which a copied history would bury.
 */
export function copiedVersions(source: readonly Valued[], target: readonly Valued[]): number | undefined {
  if (target.length > source.length) return undefined;
  return target.every((version, index) => sameValue(version, source[index] as Valued))
    ? target.length
    : undefined;
}
