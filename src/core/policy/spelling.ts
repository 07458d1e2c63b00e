/**
 * Other spellings of the same secret. Policies compare names exactly, and some stores don't: a call is decided under
 * each spelling, and has to be allowed under all of them.
 */
import type { JsonValue } from '../json.ts';

type Settings = Readonly<Record<string, JsonValue | undefined>>;

const ARN = /^(arn:[a-z-]+:secretsmanager:[a-z0-9-]*:\d*):secret:(.+)$/;
/** What AWS appends to the name in an ARN. */
const ARN_SUFFIX = /-[A-Za-z0-9]{6}$/;

export interface SpeltResource {
  readonly store: string;
  readonly name: string;
}

export interface SpellingParts {
  readonly store: string;
  readonly provider: string;
  readonly name: string;
  /** The store's own settings. */
  readonly settings: Settings;
  /** Settings that a native identifier replaces them with. */
  readonly native: Settings | undefined;
}

/** Every place and name that a policy may know the secret by. */
export function spellingsOf(parts: SpellingParts): readonly SpeltResource[] {
  const places = [parts.store, ...listOf(otherPlace(parts))];
  return places.flatMap((store) => namesOf(parts).map((name) => ({ store, name })));
}

function namesOf({ provider, name, settings, native }: SpellingParts): readonly string[] {
  if (provider === 'aws') {
    const inArn = ARN.exec(name)?.[2];
    if (inArn === undefined) return [name];
    // Whether the end is AWS's suffix or the name's own can't be told.
    return [...new Set([inArn, inArn.replace(ARN_SUFFIX, '')])];
  }
  // Key Vault ignores the case of names (about-keys-secrets-certificates, object identifiers).
  const isPlain = (native?.['names'] ?? settings['names'] ?? 'plain') === 'plain';
  if (provider === 'azure' && isPlain) return [name.toLowerCase()];
  return [name];
}

/**
 * Where a native identifier leads, if that isn't where the store is: another account, project or vault, which a
 * permit for the store says nothing about.
 */
function otherPlace({ provider, name, settings, native }: SpellingParts): string | undefined {
  if (native === undefined) return undefined;
  const arn = ARN.exec(name)?.[1];
  if (arn !== undefined) return arn;
  const differs = Object.entries(native).filter(
    ([key, value]) => (value ?? undefined) !== (settings[key] ?? undefined) && !(key === 'names'),
  );
  if (differs.length === 0) return undefined;
  const values = Object.values(native).filter((value) => typeof value === 'string' && value !== 'plain');
  return `${provider}:${values.join(':')}`;
}

function listOf<T>(one: T | undefined): readonly T[] {
  return one === undefined ? [] : [one];
}
