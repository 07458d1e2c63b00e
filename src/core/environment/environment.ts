/** Builds the variables of a child from settings and flags. Pure. */
import type { JsonDocument } from '../document/document.ts';
import { SecretsError } from '../errors.ts';
import { isPlainData, steers } from './steering.ts';
import { quoted } from '../text/suspect.ts';
import { decodeUtf8 } from '../utf8.ts';

/** POSIX XBD 8.1; every shell can export these. */
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** @throws SecretsError Usage for a name that shells can't export */
export function checkVariableName(name: string): void {
  if (!VARIABLE.test(name)) {
    throw new SecretsError('Usage', `${quoted(name)} is not a valid variable name`, {
      hint: 'letters, digits and _, not starting with a digit',
    });
  }
}

/** How to treat the case of names from a store: `--case`. */
export type NameCase = 'keep' | 'upper';
export const NAME_CASES: readonly NameCase[] = ['keep', 'upper'];

/**
 * The variable for a key or secret name. A valid name stays as it is, so that an imported environment round-trips;
 * otherwise `db-url` becomes `DB_URL`, and `2fa` becomes `_2FA`.
 * @param nameCase `upper` always uses capital letters; `keep` turns `db-url` into `db_url`
 * @throws SecretsError Usage for a key without an ASCII letter or digit
 */
export function variableName(key: string, nameCase?: NameCase): string {
  const legal = key.replace(/[^A-Za-z0-9_]+/g, '_');
  if (!/[A-Za-z0-9]/.test(legal)) {
    throw new SecretsError(
      'Usage',
      `${JSON.stringify(key.slice(0, 100))} can’t be turned into a variable name`,
      {
        hint: 'name it with -e NAME=REF',
      },
    );
  }
  const keeps = nameCase === 'keep' || (nameCase === undefined && VARIABLE.test(key));
  const name = keeps ? legal : legal.toUpperCase();
  return /^[0-9]/.test(name) ? `_${name}` : name;
}

/** Splits a flag's `NAME=REF`. @throws SecretsError Usage */
export function splitAssignment(text: string): readonly [name: string, reference: string] {
  const equals = text.indexOf('=');
  if (equals <= 0 || equals === text.length - 1) {
    throw new SecretsError('Usage', `${quoted(text)} is not NAME=REF`);
  }
  const name = text.slice(0, equals);
  checkVariableName(name);
  return [name, text.slice(equals + 1)];
}

/**
 * The keys of a JSON secret and their texts, which become variables.
 * @throws SecretsError Invalid if the value has no keys, or a key's value has no text
 */
export function keysOf(
  document: JsonDocument,
  reference: string,
): readonly (readonly [key: string, text: string])[] {
  if (!document.isObject) {
    throw new SecretsError('Invalid', 'has no keys to make variables of: its value is not a JSON object', {
      reference,
      hint: 'use -e NAME=REF for a plain value',
    });
  }
  return document.entries();
}

/** Rules for which names from a store may become variables. */
export interface NameRules<T> {
  /** `--prefix`: prepended to every name. */
  readonly prefix?: string | undefined;
  /** `--case`. Without it, a prefix is followed by capital letters. */
  readonly nameCase?: NameCase | undefined;
  /** `--allow`: variables that the user wants, whatever they steer or replace. */
  readonly allowed?: ReadonlySet<string> | undefined;
  /** Whether this variable is inherited with a different value. */
  readonly isTaken: (name: string, value: T) => boolean;
}

/**
 * Collects the variables of `--from`, and detects two that get the same name. `--from` takes names from the store:
 * whoever may add a secret there must not be able to steer a program here, or replace what the user has set.
 */
export class NameMap<T> {
  readonly #entries = new Map<string, { readonly origin: string; readonly value: T }>();
  /** Names that don't look like data and have no prefix from the user: left out, and rejected in one line. */
  readonly #unplain: { readonly name: string; readonly origin: string }[] = [];
  readonly #rules: NameRules<T>;

  /** @throws SecretsError Usage for a prefix that variables can't start with */
  constructor(rules: NameRules<T>) {
    if (rules.prefix !== undefined) checkVariableName(rules.prefix);
    this.#rules = rules;
  }

  /** The variable for a key. @throws SecretsError Usage */
  nameOf(key: string): string {
    const { prefix, nameCase } = this.#rules;
    const name = variableName(key, nameCase ?? (prefix === undefined ? undefined : 'upper'));
    return prefix === undefined ? name : `${prefix}${name.replace(/^_(?=[0-9])/, '')}`;
  }

  /**
   * @param key the key or name that the variable is made from
   * @param source the reference under which it was found
   * @throws SecretsError Usage naming both, if another key has the same variable; Policy for a variable that steers
   *   programs or is already set
   */
  add(key: string, source: string, value: T): void {
    const name = this.nameOf(key);
    const origin = `${JSON.stringify(key)} (from ${source})`;
    if (this.#rules.allowed?.has(name) !== true && !this.#maySet(name, origin, value)) return;
    const other = this.#entries.get(name);
    if (other !== undefined) {
      throw new SecretsError('Usage', `${other.origin} and ${origin} both become ${name}`, {
        hint: 'name each with -e NAME=REF instead',
      });
    }
    this.#entries.set(name, { origin, value });
  }

  /** @returns false for a name that `refusal` reports. @throws SecretsError Policy */
  #maySet(name: string, origin: string, value: T): boolean {
    const { prefix, isTaken } = this.#rules;
    if (steers(name)) {
      throw new SecretsError('Policy', `${origin} would become ${name}, which decides what programs do`, {
        hint: `to set it anyway: --allow ${name}`,
      });
    }
    // The user has chosen the prefix. Without the `_` it could be half of another name.
    if (prefix?.endsWith('_') !== true && !isPlainData(name)) {
      this.#unplain.push({ name, origin });
      return false;
    }
    if (prefix === undefined && isTaken(name, value)) {
      throw new SecretsError('Policy', `${origin} would replace the variable ${name}, which is set already`, {
        hint: `to replace it: --allow ${name}; or give all a prefix: --prefix APP_`,
      });
    }
    return true;
  }

  /**
   * Why some variables are rejected; `undefined` if none are. Listed briefly, because a document may have very many
   * keys.
   */
  refusal(): SecretsError | undefined {
    const [first] = this.#unplain;
    if (first === undefined) return undefined;
    const { name, origin } = first;
    const more = this.#unplain.length - 1;
    const others = this.#unplain.slice(1, 5).map((one) => one.name);
    const rest = more > 4 ? ` and ${more - 4} more` : '';
    const so = more === 0 ? '' : ` (so do ${others.join(', ')}${rest})`;
    const all = more > 4 ? `${name},…` : [name, ...others].join(',');
    return new SecretsError('Policy', `${origin} would become ${name}, which programs may obey${so}`, {
      hint: `to set it anyway: --allow ${all}; or give all a prefix: --prefix APP_`,
    });
  }

  *[Symbol.iterator](): IterableIterator<readonly [name: string, value: T]> {
    for (const [name, { value }] of this.#entries) yield [name, value];
  }
}

/**
 * A value as the text of a variable.
 * @throws SecretsError Invalid if it contains NUL (not possible in an environment) or isn't UTF-8
 */
export function variableText(name: string, value: Uint8Array): string {
  if (value.includes(0)) throw unfit(name, 'holds a NUL byte, which a variable can’t');
  try {
    return decodeUtf8(value);
  } catch {
    throw unfit(name, 'is not UTF-8 text');
  }
}

/** Linux limits a string to 32 pages (execve(2), MAX_ARG_STRLEN), including `NAME=` and the NUL. */
const MAX_STRING_BYTES = 131_072;

/** @throws SecretsError Invalid if the value is too long for a variable on Linux */
export function checkVariableSize(name: string, value: Uint8Array): void {
  if (name.length + value.length + 2 > MAX_STRING_BYTES) {
    throw unfit(
      name,
      `has ${value.length} bytes; a variable holds ${MAX_STRING_BYTES - name.length - 2} at most`,
    );
  }
}

function unfit(name: string, why: string): SecretsError {
  return new SecretsError('Invalid', `the value for ${name} ${why}`, {
    hint: 'give it as a file: --file NAME=REF, or as: file in secrets.yaml',
  });
}

/** The inherited variables that `--pristine` keeps: where things are and how to display them. */
export const PRISTINE: ReadonlySet<string> = new Set([
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'TERM',
  'COLORTERM',
  'LANG',
  'LANGUAGE',
  'TZ',
  'PWD',
  'TMPDIR',
  'XDG_RUNTIME_DIR',
  'NO_COLOR',
  'FORCE_COLOR',
  'CI',
  'SystemRoot',
  'ComSpec',
  'PATHEXT',
  'TEMP',
  'TMP',
  'USERPROFILE',
]);

/** The inherited variables that a child gets, before the secrets are added. */
export function inherited(
  env: Readonly<Record<string, string | undefined>>,
  { pristine, withheld }: { readonly pristine: boolean; readonly withheld: ReadonlySet<string> },
): Record<string, string> {
  // A variable may be named like a property of every object (`__proto__`).
  const kept = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || withheld.has(name)) continue;
    if (pristine && !PRISTINE.has(name) && !name.startsWith('LC_')) continue;
    kept[name] = value;
  }
  return kept;
}
