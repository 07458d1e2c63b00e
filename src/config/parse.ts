/**
 * Parses one secrets.yaml: its keys, what needs the user's trust, and what must not be in it. Loaded only if there is
 * a file. Names in it are resolved in src/config/load.ts, where all files are known.
 */
// Longer than other files: every section is read with the same few helpers, which are here.
/* oxlint-disable max-lines */
import * as v from 'valibot';
import type { GivenAudit } from '../audit/log/settings.ts';
import { type GivenSink, sinkProblem, sinkTrustItems } from '../audit/sinks/settings.ts';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { nearest } from '../core/reference/nearest.ts';
import type { NativeSettings } from '../core/rotation/native.ts';
import type { ProviderDescriptor } from '../providers/descriptor.ts';
import type { StoreSettings, TrustItem, TrustLine } from '../core/trust.ts';
import {
  type ReportSettings,
  reportTrustItems,
  type SuppressionSettings,
  wrongSuppression,
} from './audit-report.ts';
import { BOUNDS, NOTIFY, type NotifySetting, type PolicySettings, type RotationBounds } from './rotation.ts';
import { descriptorOf, type Kinds, type ProgramWorld } from './kinds.ts';
import { knownKeys } from './known-keys.ts';
import { listAsMap } from './lists.ts';
import { looseFileSchema, type PartDocument } from './schema.ts';
import { findIssued, settingLooksSecret } from '../core/text/suspect.ts';
import { readYaml, type YamlFile } from './yaml.ts';

/** A store as written in one file. */
export interface ParsedStore {
  readonly provider: string;
  readonly settings: StoreSettings;
  readonly lines: readonly TrustLine[];
  /** The full path of the store, such as `stores.team`. */
  readonly setting: string;
  readonly line: number;
}

/** A variable as written in one file: a text may still be a reference or a literal. */
export interface ParsedVariable {
  readonly given:
    | string
    | { readonly ref: string; readonly as: 'value' | 'file'; readonly optional: boolean };
  /** The full path of the setting, such as `env.PATH`. */
  readonly setting: string;
  readonly line: number;
}

/** A rotation policy as written in one file. */
export interface ParsedPolicy {
  readonly settings: PolicySettings;
  readonly lines: readonly TrustLine[];
  readonly line: number;
  /** Checks `native` once the provider of the secret's store is known, which may be configured in another file. */
  readonly settleNative?: ((provider: ProviderDescriptor | undefined) => Promise<ParsedPolicy>) | undefined;
  /** The kind of provider that it was checked for. */
  readonly nativeKind?: string | undefined;
}

/** Who is notified of rotations, as written in one file. */
export interface ParsedNotify {
  readonly setting: NotifySetting;
  readonly lines: readonly TrustLine[];
}

/** The content of a file or of one of its profiles. */
export interface ParsedPart {
  readonly defaultStore:
    | { readonly name: string; readonly setting: string; readonly line: number }
    | undefined;
  readonly stores: ReadonlyMap<string, ParsedStore>;
  readonly env: ReadonlyMap<string, ParsedVariable>;
  readonly policies: ReadonlyMap<string, ParsedPolicy>;
  readonly bounds: RotationBounds;
  /** The lines of `bounds`, except the lock's. */
  readonly boundLines: readonly TrustLine[];
  readonly audit: GivenAudit | undefined;
  readonly notify: ParsedNotify | undefined;
  /** The line of `rotation.lock`. */
  readonly lock?: TrustLine;
  readonly report: ReportSettings;
  readonly suppress: readonly SuppressionSettings[];
  /** The lines of `report` and `suppress`. */
  readonly reportLines: readonly TrustLine[];
}

export interface ParsedConfig extends ParsedPart {
  readonly path: string;
  /** Without symbolic links: relative paths in the file start at this path's folder, wherever a link to it is. */
  readonly realPath: string;
  readonly profiles: ReadonlyMap<string, ParsedPart>;
}

/** Shared helpers for reading the sections. */
class Reading {
  readonly path: string;
  readonly yaml: YamlFile;
  readonly providers: readonly ProviderDescriptor[];
  readonly targets: Kinds['targets'];
  readonly now: Date;

  constructor(
    path: string,
    yaml: YamlFile,
    { providers, targets, now }: Pick<ProgramWorld, keyof Kinds | 'now'>,
  ) {
    this.path = path;
    this.yaml = yaml;
    this.providers = providers;
    this.targets = targets;
    this.now = now();
  }

  refuse(keys: readonly string[], message: string, hint?: string): never {
    throw new SecretsError('Usage', `${this.path}:${this.yaml.lineOf(keys)}: ${message}`, { hint });
  }

  trust(at: readonly string[], item: TrustItem): TrustLine {
    const keys = [...at, ...(item.setting === '' ? [] : item.setting.split('.'))];
    return { ...item, setting: keys.join('.'), line: this.yaml.lineOf(keys) };
  }

  check<S extends v.GenericSchema>(schema: S, input: unknown, at: readonly string[]): v.InferOutput<S> {
    const result = v.safeParse(schema, input, { abortEarly: true });
    if (result.success) {
      const list = listAsMap(input, result.output, []);
      if (list !== undefined)
        this.refuse([...at, ...list], `${short([...at, ...list].join('.')) || 'the file'} must be a map`);
      return result.output;
    }
    const issue = innermost(result.issues[0]);
    const list = (issue.path ?? []).findIndex((item) => item.type !== 'array' && Array.isArray(item.input));
    if (list !== -1) {
      const keys = [...at, ...(issue.path ?? []).slice(0, list).map(({ key }) => String(key))];
      this.refuse(keys, `${short(keys.join('.')) || 'the file'} must be a map`);
    }
    const path = (issue.path ?? []).map(({ key }) => String(key));
    const keys = [...at, ...path];
    const shown = keys.join('.');
    if (issue.type === 'strict_object' && issue.expected === 'never') {
      const known = knownKeys(schema, path.slice(0, -1));
      const near = nearest(keys.at(-1) ?? '', known);
      return this.refuse(
        keys,
        `unknown key ${short(shown)}`,
        near === undefined
          ? known.length > 0
            ? `known are ${known.join(', ')}`
            : undefined
          : `did you mean ${near}?`,
      );
    }
    if (issue.type.endsWith('_object') && issue.received === 'undefined')
      return this.refuse(keys, `${short(shown)} is missing`);
    const what = issue.type === 'regex' ? issue.message : expectation(issue);
    const quote =
      /^-?[\d.]+$|^(true|false|null)$/.test(issue.received) && issue.expected?.includes('string') === true;
    return this.refuse(
      keys,
      `${short(shown) || 'the file'} must be ${what}`,
      quote ? 'put it in quotes' : undefined,
    );
  }
}

type Issue = v.BaseIssue<unknown>;

/** For a choice of several forms: the problem with the intended form, found by following the deepest issue. */
function innermost(issue: Issue): Issue {
  const [first] = (issue.issues ?? []).filter(({ path }) => path !== undefined);
  if (first === undefined) return issue;
  const inner = innermost(first);
  return {
    ...inner,
    path: [...(issue.path ?? []), ...(inner.path ?? [])] as unknown as NonNullable<Issue['path']>,
  } as Issue;
}

const WORDS: Readonly<Record<string, string>> = {
  string: 'a text',
  boolean: 'true or false',
  number: 'a number',
  Object: 'a map',
  Array: 'a list',
};

function expectation({ expected, type }: Issue): string {
  if (type === 'non_empty') return 'a text that is not empty';
  if (expected === null) return 'something else';
  const words = expected.replaceAll(
    /\bstring\b|\bboolean\b|\bnumber\b|\bObject\b|\bArray\b/g,
    (word) => WORDS[word] ?? word,
  );
  return words
    .replaceAll(/[()]/g, '')
    .replaceAll(' | ', ' or ')
    .replaceAll(' or null', '')
    .replaceAll(' or undefined', '');
}

/** Shortens a key for a one-line message, because a key may contain anything. */
function short(text: string): string {
  const line = text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '\ufffd');
  return line.length > 80 ? `${line.slice(0, 80)}…` : line;
}

/** @throws SecretsError Usage, naming file and line */
export async function parseConfig(
  bytes: Uint8Array,
  path: string,
  world: Pick<ProgramWorld, keyof Kinds | 'now'>,
  realPath = path,
): Promise<ParsedConfig> {
  const yaml = readYaml(bytes, path);
  refuseIssued(bytes, path);
  const reading = new Reading(path, yaml, world);
  const root = reading.check(looseFileSchema, yaml.value ?? {}, []);
  const profiles = new Map<string, ParsedPart>();
  for (const [name, part] of Object.entries(root.profiles ?? {}))
    profiles.set(name, await readPart(reading, part, ['profiles', name]));
  return { path, realPath, ...(await readPart(reading, root, [])), profiles };
}

/** Credentials aren't allowed anywhere in the file, including comments. */
function refuseIssued(bytes: Uint8Array, path: string): void {
  for (const [index, line] of new TextDecoder().decode(bytes).split('\n').entries()) {
    if (findIssued(line) === undefined) continue;
    throw new SecretsError('Usage', `${path}:${index + 1}: looks like a secret`, {
      hint: 'rotate it, store it with secrets put, and write its reference here',
    });
  }
}

async function readPart(reading: Reading, part: PartDocument, at: readonly string[]): Promise<ParsedPart> {
  const stores = new Map<string, ParsedStore>();
  for (const [name, settings] of Object.entries(part.stores ?? {}))
    stores.set(name, await readStore(reading, name, settings, [...at, 'stores', name]));
  const env = new Map<string, ParsedVariable>();
  for (const [name, given] of Object.entries(part.env ?? {}))
    env.set(name, readVariable(reading, name, given, [...at, 'env', name]));
  const { default: name } = part;
  const defaultStore =
    name === undefined
      ? undefined
      : { name, setting: [...at, 'default'].join('.'), line: reading.yaml.lineOf([...at, 'default']) };
  const policies = new Map<string, ParsedPolicy>();
  const bounds: Record<string, unknown> = {};
  const boundLines: TrustLine[] = [];
  let notify: ParsedNotify | undefined;
  for (const [name, given] of Object.entries(part.rotation ?? {})) {
    if ((BOUNDS as readonly string[]).includes(name)) {
      bounds[name] = given;
      const effect = BOUND_EFFECTS[name];
      if (effect !== undefined)
        boundLines.push(reading.trust([...at, 'rotation'], { setting: name, value: String(given), effect }));
    } else if (name === NOTIFY)
      notify = await readNotify(reading, given as NotifySetting, [...at, 'rotation', NOTIFY]);
    else
      policies.set(name, await readPolicy(reading, name, given as PolicySettings, [...at, 'rotation', name]));
  }
  const lock = part.rotation?.lock;
  const line =
    typeof lock === 'string' ? { lock: reading.trust([...at, 'rotation'], lockItem(lock)) } : undefined;
  const { report = {}, suppress = [] } = part.audit ?? {};
  const wrong = wrongSuppression(suppress, reading.now);
  if (wrong !== undefined) {
    const keys = [...at, 'audit', 'suppress', ...wrong.keys];
    reading.refuse(keys, `${keys.join('.')}: ${wrong.message}`, wrong.hint);
  }
  const reportLines = reportTrustItems(report, suppress).map((item) => reading.trust([...at, 'audit'], item));
  const audit = readAudit(reading, part, at);
  return {
    defaultStore,
    stores,
    env,
    policies,
    bounds,
    boundLines,
    notify,
    audit,
    report,
    suppress,
    reportLines,
    ...line,
  };
}

function readAudit(reading: Reading, { audit }: PartDocument, at: readonly string[]): GivenAudit | undefined {
  if (audit === undefined || audit === null) return undefined;
  const here = [...at, 'audit'];
  checkSettings(reading, audit, here);
  if (audit.path?.endsWith('/') === true)
    reading.refuse([...here, 'path'], `${[...here, 'path'].join('.')} must be a file, not a folder`);
  return {
    ...audit,
    sinkLines: readSinks(reading, audit.sinks ?? {}, [...here, 'sinks']),
    lineOf: (key) => ({ setting: [...here, key].join('.'), line: reading.yaml.lineOf([...here, key]) }),
  };
}

async function readNotify(
  reading: Reading,
  setting: NotifySetting,
  at: readonly string[],
): Promise<ParsedNotify> {
  const { checkReceivers, trustItemsOf } = await import('./receivers.ts');
  checkSettings(reading, setting, at);
  try {
    checkReceivers(setting);
  } catch (thrown) {
    const { message, hint } = toSecretsError(thrown);
    reading.refuse(at, message, hint);
  }
  return { setting, lines: trustItemsOf(setting).map((item) => reading.trust(at, item)) };
}

/** They also apply to the user's own policies. */
const BOUND_EFFECTS: Readonly<Record<string, string>> = {
  lease: 'a rotation is taken over after this time, and its calls are ended after half of it',
  parallel: 'so many rotations are made at a time in each store',
  'per-target': 'so many rotations are made at a time on one system',
  jitter: '--due waits up to this time before each rotation',
};

const lockItem = (store: string): TrustItem => ({
  setting: 'lock',
  value: store,
  effect: 'who rotates which secret is written to this store, and believed from there',
});

/** @returns the trust that the sinks need */
function readSinks(
  reading: Reading,
  sinks: Readonly<Record<string, GivenSink>>,
  at: readonly string[],
): readonly TrustLine[] {
  return Object.entries(sinks).flatMap(([name, sink]) => {
    const here = [...at, name];
    const problem = sinkProblem(sink);
    if (problem !== undefined) {
      const { key, message, hint } = problem;
      reading.refuse([...here, key], `${[...here, key].join('.')} ${message}`, hint);
    }
    return sinkTrustItems(sink).map((item) => reading.trust(here, item));
  });
}

async function readPolicy(
  reading: Reading,
  name: string,
  settings: PolicySettings,
  at: readonly string[],
): Promise<ParsedPolicy> {
  const targets = await reading.targets();
  const { type = 'none', ...rest } = settings.target ?? {};
  const kind = targets.find((descriptor) => descriptor.type === type);
  if (kind === undefined) {
    const known = targets.map((descriptor) => descriptor.type);
    const near = nearest(String(type), known);
    return reading.refuse(
      [...at, 'target', 'type'],
      `unknown target of ${short(name)}`,
      near === undefined ? `known are ${known.join(', ')}` : `did you mean ${near}?`,
    );
  }
  checkSettings(reading, settings, at);
  const checked = reading.check(await kind.schema(), rest, [...at, 'target']) as StoreSettings;
  const lines = [
    reading.trust(at, {
      setting: '',
      value: kind.type,
      effect: 'secrets rotate gives this secret new values',
    }),
    ...kind.trustItems(checked).map((item) => reading.trust([...at, 'target'], item)),
    ...(settings.notify === undefined
      ? []
      : (await readNotify(reading, settings.notify, [...at, NOTIFY])).lines),
    ...(settings.lock === undefined ? [] : [reading.trust(at, lockItem(settings.lock))]),
  ];
  const policy: ParsedPolicy = {
    settings: { ...settings, target: { type: kind.type, ...checked } },
    lines,
    line: reading.yaml.lineOf(at),
  };
  if (settings.native === undefined) return policy;
  return { ...policy, settleNative: (provider) => settleNative(reading, name, policy, provider, at) };
}

async function settleNative(
  reading: Reading,
  name: string,
  policy: ParsedPolicy,
  provider: ProviderDescriptor | undefined,
  at: readonly string[],
): Promise<ParsedPolicy> {
  const own = provider?.nativeRotation;
  // A reference that names no store is rejected where it is used, with the reason.
  if (provider === undefined) return policy;
  const where = [...at, 'native'];
  if (own === undefined)
    return reading.refuse(
      where,
      `${short(name)} is in a store of ${provider.kind}, which has no rotation of its own`,
      'leave native away: secrets rotates it',
    );
  const native = reading.check(await own.schema(), policy.settings.native, where) as NativeSettings;
  const lines = own.trustItems(native).map((item) => reading.trust(where, item));
  return {
    ...policy,
    settings: { ...policy.settings, native },
    lines: [...policy.lines, ...lines],
    nativeKind: provider.kind,
  };
}

type Given<K extends 'stores' | 'env'> = NonNullable<PartDocument[K]>[string];

async function readStore(
  reading: Reading,
  name: string,
  { provider, ...rest }: Given<'stores'>,
  at: readonly string[],
): Promise<ParsedStore> {
  const kinds = reading.providers.map(({ kind }) => kind);
  const kind = descriptorOf(reading, provider);
  if (kind === undefined) {
    const near = nearest(provider, kinds);
    const hint = near === undefined ? `known are ${kinds.join(', ')}` : `did you mean ${near}?`;
    return reading.refuse([...at, 'provider'], `unknown provider of store ${short(name)}`, hint);
  }
  if (kinds.includes(name) && name !== provider)
    return reading.refuse(at, `a store named ${name} must have the provider ${name}`, 'give it another name');
  checkSettings(reading, rest, at);
  const settings = reading.check(await kind.schema(), rest, at) as StoreSettings;
  const lines = kind.trustItems(settings).map((item) => reading.trust(at, item));
  return { provider, settings, lines, setting: at.join('.'), line: reading.yaml.lineOf(at) };
}

/** Longest text of a setting: a longer one isn't an address, path or name, and could hide its end from readers. */
const MAX_SETTING = 2048;

function checkSettings(reading: Reading, value: unknown, at: readonly string[]): void {
  if (typeof value === 'string') {
    if (/[\u0000-\u001f\u007f-\u009f]/.test(value))
      reading.refuse(at, `${at.join('.')} contains a control character`, 'write it on one line');
    if (value.length > MAX_SETTING)
      reading.refuse(at, `${short(at.join('.'))} is longer than ${MAX_SETTING} characters`);
    if (settingLooksSecret(value))
      reading.refuse(
        at,
        `the value of ${short(at.join('.'))} looks like a secret`,
        'a secrets.yaml holds none: leave it to the environment, or to a file',
      );
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) checkSettings(reading, inner, [...at, key]);
  }
}

function readVariable(
  reading: Reading,
  name: string,
  given: Given<'env'>,
  at: readonly string[],
): ParsedVariable {
  const line = reading.yaml.lineOf(at);
  if (typeof given === 'string' && given.includes('\0'))
    reading.refuse(at, `${short(name)} contains a NUL, which a variable can’t hold`);
  return {
    given:
      typeof given === 'string'
        ? given
        : { ref: given.ref, as: given.as ?? 'value', optional: given.optional ?? false },
    setting: at.join('.'),
    line,
  };
}
