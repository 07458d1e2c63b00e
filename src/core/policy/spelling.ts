/**
 * Other spellings of the same secret. Policies compare names exactly, and some stores don't: a call is decided under
 * each spelling, and has to be allowed under all of them.
 */
import type { JsonValue } from '../json.ts';
import { nameOfMapped } from '../reference/mapped-name.ts';

type Settings = Readonly<Record<string, JsonValue | undefined>>;

const ARN = /^(arn:[a-z-]+:secretsmanager:[a-z0-9-]*:\d*):secret:(.+)$/;
/** A store's prefix can begin with one. */
const ARN_HEAD = /^arn:[^/]*:secret:/;
/** What AWS appends to the name in an ARN. */
const ARN_SUFFIX = /-[A-Za-z0-9]{6}$/;

export interface SpeltResource {
  readonly store: string;
  readonly name: string;
  /** What the service has before the name. */
  readonly prefix: string;
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
  const names = serviceNames(parts);
  const elsewhere = otherPlace(parts);
  return [
    ...names.map((name) => inStore(parts, name)),
    ...(elsewhere === undefined ? [] : names.map((name) => ({ store: elsewhere, name, prefix: '' }))),
  ];
}

/** As references to the store name it: what a native identifier names must not be another secret to a policy. */
function inStore({ store, provider, settings, native }: SpellingParts, name: string): SpeltResource {
  const prefix = prefixOf(settings).replace(ARN_HEAD, '');
  if (native === undefined) return { store, name, prefix };
  if (provider === 'azure' && settings['names'] === 'mapped')
    return { store, name: nameOfMapped(name) ?? name, prefix: '' };
  const isBelow = name.length > prefix.length && name.startsWith(prefix);
  return isBelow ? { store, name: name.slice(prefix.length), prefix } : { store, name, prefix: '' };
}

function prefixOf({ prefix }: Settings): string {
  return typeof prefix === 'string' ? prefix : '';
}

/** A native identifier has the service's own names; otherwise they are the store's. */
function serviceNames({ provider, name, settings, native }: SpellingParts): readonly string[] {
  if (provider === 'aws') {
    // A store's prefix can begin an ARN, which the name then ends.
    const inArn = ARN.exec(name)?.[2] ?? (ARN_HEAD.test(prefixOf(settings)) ? name : undefined);
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
  // Hosts ignore case, and nothing else among them has capitals.
  return `${provider}:${values.join(':')}`.toLowerCase();
}
