/** Reads one secrets.yaml: syntax, keys, and what in it needs the user's trust. Loaded only when there is a file. */
import * as v from 'valibot';
import { isMap, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import { SecretsError } from '../core/errors.ts';
import type { ProviderDescriptor, StoreSettings, TrustItem } from '../providers/provider.ts';
import type { EnvEntry, StoreConfig } from './config.ts';
import { looksSecret, runsPrograms } from './suspect.ts';

/** A line that is not acted on before the file is trusted. */
export interface TrustLine extends TrustItem {
  readonly line: number;
}

export interface ParsedConfig {
  readonly defaultStore: string | undefined;
  readonly stores: ReadonlyMap<string, StoreConfig>;
  readonly env: ReadonlyMap<string, EnvEntry>;
  readonly trustLines: readonly TrustLine[];
}

const NAME = /^[a-z][a-z0-9-]*$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const entry = v.union([
  v.string(),
  v.strictObject({
    ref: v.pipe(v.string(), v.nonEmpty()),
    as: v.optional(v.picklist(['value', 'file'])),
    optional: v.optional(v.boolean()),
  }),
]);
const env = v.record(v.pipe(v.string(), v.regex(VARIABLE, 'not a name of a variable')), entry);
const settings = v.looseObject({ provider: v.string() });
const stores = v.record(v.pipe(v.string(), v.regex(NAME, 'not a name of a store')), settings);
const part = { default: v.optional(v.string()), env: v.optional(env) };
const file = v.strictObject({
  ...part,
  stores: v.optional(stores),
  profiles: v.optional(v.record(v.string(), v.strictObject(part))),
});

/** @throws SecretsError Usage, naming file and line */
export async function parseConfig(
  text: string,
  path: string,
  source: 'project' | 'user',
  profile: string | undefined,
  providers: readonly ProviderDescriptor[],
): Promise<ParsedConfig> {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, uniqueKeys: true, prettyErrors: false });
  const lineOf = (keys: readonly PropertyKey[]): number => lineAt(document, counter, keys);
  const refuse = (keys: readonly PropertyKey[], message: string, hint?: string): never => {
    throw new SecretsError('Usage', `${path}:${lineOf(keys)}: ${message}`, { hint });
  };
  const [wrong] = document.errors;
  if (wrong !== undefined) {
    // The parser's own message may quote the text, which may be a secret put there by mistake.
    const { line } = counter.linePos(wrong.pos[0]);
    throw new SecretsError('Usage', `${path}:${line}: not valid YAML (${wrong.code})`);
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 50 }) ?? {};
  } catch {
    throw new SecretsError('Usage', `${path}: too many aliases, or one of an unknown anchor`);
  }
  const check = <S extends v.GenericSchema>(
    schema: S,
    input: unknown,
    at: readonly string[],
  ): v.InferOutput<S> => {
    const result = v.safeParse(schema, input, { abortEarly: true });
    if (result.success) return result.output;
    const [issue] = result.issues;
    const keys = [...at, ...(issue.path ?? []).map(({ key }) => String(key))];
    if (issue.type !== 'strict_object' || issue.expected !== 'never')
      return refuse(
        keys,
        `${keys.join('.') || 'the file'}: does not fit: expected ${issue.expected ?? 'another value'}`,
      );
    const known =
      issue.path?.length === 1 && 'entries' in schema ? Object.keys(schema.entries as object) : [];
    const near = nearest(keys.at(-1) ?? '', known);
    return refuse(keys, `unknown key ${keys.join('.')}`, near && `did you mean ${near}?`);
  };

  const root = check(file, value, []);
  const chosen = profile === undefined ? undefined : root.profiles?.[profile];
  const lines: TrustLine[] = [];
  const found = new Map<string, StoreConfig>();
  for (const [name, { provider, ...rest }] of Object.entries(root.stores ?? {})) {
    const kind = providers.find((descriptor) => descriptor.kind === provider);
    const at = ['stores', name];
    if (kind === undefined)
      return refuse(
        [...at, 'provider'],
        `unknown provider of store ${name}`,
        `known are ${providers.map((one) => one.kind).join(', ')}`,
      );
    const checked = check(await kind.schema(), rest, at) as StoreSettings;
    for (const item of kind.trustItems(checked))
      lines.push({ ...item, line: lineOf([...at, ...item.setting.split('.')]) });
    found.set(name, { name, provider, settings: checked, source });
  }
  const isReference = (textValue: string): boolean => {
    const scheme = /^([a-z][a-z0-9-]*):\/\//.exec(textValue)?.[1];
    if (scheme !== undefined && (found.has(scheme) || providers.some(({ kind }) => kind === scheme)))
      return true;
    const bare = textValue.split('#', 1)[0] ?? '';
    return providers.some(({ native }) => native?.(bare) !== undefined);
  };
  const variables = new Map<string, EnvEntry>();
  const add = (at: readonly string[], map: v.InferOutput<typeof env> | undefined, active: boolean): void => {
    for (const [name, given] of Object.entries(map ?? {})) {
      const literal = typeof given === 'string' && !isReference(given);
      if (literal && looksSecret(name, given))
        refuse(
          [...at, name],
          `the value of ${name} looks like a secret`,
          'put it in a store and write its reference here',
        );
      if (runsPrograms(name))
        lines.push({
          setting: name,
          value: literal ? given : 'a secret',
          effect: 'this variable changes what programs run or whom they believe',
          line: lineOf([...at, name]),
        });
      if (!active) continue;
      if (literal) variables.set(name, { kind: 'literal', value: given });
      else if (typeof given === 'string')
        variables.set(name, { kind: 'ref', ref: given, as: 'value', optional: false });
      else
        variables.set(name, {
          kind: 'ref',
          ref: given.ref,
          as: given.as ?? 'value',
          optional: given.optional ?? false,
        });
    }
  };
  add(['env'], root.env, true);
  for (const [name, one] of Object.entries(root.profiles ?? {}))
    add(['profiles', name, 'env'], one.env, one === chosen);
  return { defaultStore: chosen?.default ?? root.default, stores: found, env: variables, trustLines: lines };
}

/** The line of a key, or of the nearest thing around it that is there. */
function lineAt(document: Document, counter: LineCounter, keys: readonly PropertyKey[]): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const key of keys) {
    if (!isMap(node)) break;
    const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
    if (pair === undefined) break;
    offset = (isScalar(pair.key) ? pair.key.range?.[0] : undefined) ?? offset;
    node = pair.value;
  }
  return counter.linePos(offset).line;
}

function nearest(word: string, known: readonly string[]): string | undefined {
  const scored = known.map((name) => ({ name, far: distance(word, name) })).sort((a, b) => a.far - b.far);
  return scored[0] !== undefined && scored[0].far <= 3 ? scored[0].name : undefined;
}

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1)
      next.push(
        Math.min(
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
        ),
      );
    row = next;
  }
  return row[b.length] ?? 0;
}
