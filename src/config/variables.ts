/** Decides whether a variable of a secrets.yaml is a reference or a literal, and checks it. */
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { nearest } from '../core/reference/nearest.ts';
import { isStoreName, isUrlScheme, parseReference } from '../core/reference/reference.ts';
import type { ProgramWorld } from './kinds.ts';
import type { EnvEntry } from './config.ts';
import type { Layer } from './layer.ts';
import type { ParsedVariable } from './parse.ts';
import { type VariableTrust, variableTrust } from './variable-trust.ts';
import { looksSecret } from '../core/text/suspect.ts';

/** A variable of one file, resolved to a reference or literal. */
export interface LayerVariable {
  readonly source: Layer['source'];
  readonly name: string;
  readonly entry: EnvEntry;
  /** Whether it is in the file itself or in the chosen profile. */
  readonly counts: boolean;
  readonly trust: VariableTrust;
}

/** The variables of every file and profile, the user's first. @throws SecretsError Usage */
export function allVariables(world: ProgramWorld, layers: readonly Layer[]): readonly LayerVariable[] {
  const stores = new Set(world.providers.map(({ kind }) => kind));
  for (const { parsed } of layers)
    for (const part of [parsed, ...parsed.profiles.values()])
      for (const name of part.stores.keys()) stores.add(name);
  const user = layers.filter(({ source }) => source === 'user').flatMap(({ parts }) => parts);
  const context = {
    env: world.env,
    own: new Set(user.flatMap((part) => [...part.env.keys()])),
    isNative: (text: string) => isNative(world, text),
  };
  return layers.flatMap(({ source, parsed, parts }) =>
    [parsed, ...parsed.profiles.values()].flatMap((part) =>
      [...part.env].map(([name, variable]): LayerVariable => {
        const entry = settleVariable(world, parsed.path, name, variable, stores);
        const trust = source === 'user' ? {} : variableTrust(name, entry, variable, context);
        return { source, name, entry, counts: parts.includes(part), trust };
      }),
    ),
  );
}

function isNative({ providers }: ProgramWorld, text: string): boolean {
  const bare = text.split('#', 1)[0] ?? '';
  return providers.some(({ native }) => native?.(bare) !== undefined);
}

/**
 * @param stores the names of all stores in the configuration
 * @throws SecretsError Usage for a literal that looks like a secret, a malformed reference, an unknown store
 */
function settleVariable(
  world: ProgramWorld,
  path: string,
  name: string,
  { given, line }: ParsedVariable,
  stores: ReadonlySet<string>,
): EnvEntry {
  const refuse = (message: string, hint?: string): never => {
    throw new SecretsError('Usage', `${path}:${line}: ${message}`, { hint });
  };
  const scheme = (text: string): string | undefined => {
    const end = text.indexOf('://');
    const word = end === -1 ? '' : text.slice(0, end);
    return isStoreName(word) ? word : undefined;
  };
  const ref = (text: string, as: 'value' | 'file', optional: boolean): EnvEntry => {
    if (!isNative(world, text)) {
      try {
        parseReference(text);
      } catch (thrown) {
        refuse(`${name}: ${toSecretsError(thrown).message}`);
      }
      const store = scheme(text);
      if (store !== undefined && !stores.has(store)) {
        const near = nearest(store, stores);
        const known = `the stores are ${[...stores].join(', ')}`;
        refuse(`${name}: no store named ${store}`, near === undefined ? known : `did you mean ${near}?`);
      }
    }
    return { kind: 'ref', ref: text, as, optional };
  };
  if (typeof given !== 'string') return ref(given.ref, given.as, given.optional);
  const store = scheme(given);
  if ((store !== undefined && stores.has(store)) || isNative(world, given)) return ref(given, 'value', false);
  const near = store === undefined || isUrlScheme(store) ? undefined : nearest(store, stores);
  if (near !== undefined) refuse(`${name}: no store named ${store ?? ''}`, `did you mean ${near}?`);
  if (looksSecret(name, given))
    refuse(`the value of ${name} looks like a secret`, 'put it in a store and write its reference here');
  return { kind: 'literal', value: given };
}
