/**
 * Determines the variables of a command and resolves their values: all of them, or one error that lists every
 * failure.
 */
import type { Config } from '../config/config.ts';
import type { TrustLine } from '../core/trust.ts';
import type { JsonDocument } from '../core/document/document.ts';
import {
  checkVariableName,
  keysOf,
  type NameCase,
  NameMap,
  splitAssignment,
} from '../core/environment/environment.ts';
import { combineErrors, SecretsError, type Settle, settler, toSecretsError } from '../core/errors.ts';
import { formatReference, parseReference, withoutStar } from '../core/reference/reference.ts';
import type { Resolved } from '../session/resolver.ts';
import type { Provider } from '../providers/provider.ts';
import type { Session } from '../session/session.ts';

export interface SourceOptions {
  readonly env?: readonly string[];
  readonly from?: readonly string[];
  readonly prefix?: string;
  readonly case?: NameCase;
  readonly allow?: readonly string[];
  readonly file?: readonly string[];
  readonly project?: boolean;
  readonly resolveEnv?: boolean;
}

/** A variable and its value. */
export interface Variable {
  readonly name: string;
  readonly value: Uint8Array;
  readonly as: 'value' | 'file';
  readonly secret: boolean;
}

export interface Variables {
  readonly list: readonly Variable[];
  /**
   * Optional variables whose secret doesn't exist. They are unset, so that an inherited value can't take their place.
   */
  readonly missing: readonly string[];
  /** Every requested secret, with its result. */
  readonly sources: readonly Resolved[];
  /** Every prefix that was listed, with its secrets. */
  readonly listings: readonly Listing[];
}

/** The result of listing a prefix. */
export interface Listing {
  /** The prefix as the user wrote it. */
  readonly ref: string;
  readonly found: readonly string[];
}

interface Wanted {
  readonly name: string;
  readonly ref: string;
  readonly as: 'value' | 'file';
  readonly optional: boolean;
  /** Replacing the inherited value needs trust that wasn't given: the value must be the same. */
  readonly untrusted?: TrustLine | undefined;
}

/** The requested variables, in layers: later layers override earlier ones of the same name. */
interface Plan {
  /** Single variables from the environment (`--resolve-env`) and the project. */
  readonly base: Map<string, Wanted>;
  readonly literals: Map<string, string>;
  /** JSON secrets with a variable for each key, and secrets under a prefix. */
  readonly wholes: readonly string[];
  readonly listed: readonly Listed[];
  /** `-e` and `--file`. */
  readonly explicit: Map<string, Wanted>;
  /** Variables that are left out because their lines aren't trusted. */
  readonly untrusted: Map<string, TrustLine>;
}

/** A secret found under a prefix. */
interface Listed {
  readonly key: string;
  readonly source: string;
  readonly ref: string;
}

/**
 * Resolves everything in as few calls as the stores allow: one call to each store, all stores at once (plus a listing
 * for each prefix).
 * @param withheld environment variables that `--resolve-env` doesn't touch
 * @throws SecretsError one that lists every failure
 */
export async function resolveVariables(
  session: Session,
  options: SourceOptions,
  withheld: ReadonlySet<string>,
): Promise<Variables> {
  const allowed = allowedNames(options);
  const errors: SecretsError[] = [];
  const plan = await makePlan(session, options, withheld, errors);
  const singles = [...new Map([...plan.base, ...plan.explicit]).values()];
  const refs = [...singles.map(({ ref }) => ref), ...plan.wholes, ...plan.listed.map(({ ref }) => ref)];
  const results = await session.resolveEach(refs);
  const settle = settler(errors);

  const { env } = session.world;
  const isTaken = (name: string, value: Uint8Array): boolean =>
    env[name] !== undefined && !withheld.has(name) && Buffer.compare(Buffer.from(env[name]), value) !== 0;
  const { prefix, case: nameCase } = options;
  const found = new NameMap<Uint8Array>({ prefix, nameCase, allowed, isTaken });
  const after = results.slice(singles.length) as Resolved[];
  await addNamed(plan, after, found, settle);
  const refusal = found.refusal();
  if (refusal !== undefined) errors.push(refusal);

  const variables = new Map<string, Variable>();
  const missing: string[] = [];
  const addSingle = ({ name, as, optional, untrusted }: Wanted, result: Resolved): void => {
    const isMissing = !result.ok && optional && result.error.kind === 'NotFound';
    if (
      untrusted !== undefined &&
      (isMissing || (result.ok && (as === 'file' || isTaken(name, result.value))))
    )
      plan.untrusted.set(name, untrusted);
    else if (isMissing) missing.push(name);
    else settle(() => variables.set(name, { name, value: valueOf(result), as, secret: true }));
  };
  for (const [name, text] of plan.literals) {
    variables.set(name, { name, value: Buffer.from(text), as: 'value', secret: false });
  }
  const explicit = new Set(plan.explicit.values());
  for (const [index, wanted] of singles.entries()) {
    if (!explicit.has(wanted)) addSingle(wanted, results[index] as Resolved);
  }
  for (const [name, value] of found) variables.set(name, { name, value, as: 'value', secret: true });
  for (const [index, wanted] of singles.entries()) {
    if (explicit.has(wanted)) addSingle(wanted, results[index] as Resolved);
  }
  if (plan.untrusted.size > 0) {
    const { variablesNotTrusted } = await import('../config/trust.ts');
    errors.unshift(variablesNotTrusted(plan.untrusted, (await session.config()).file));
  }
  if (errors.length > 0)
    throw combineErrors(errors, `${errors.length} failures; nothing was started or printed`);
  return {
    list: [...variables.values()],
    missing: missing.filter((name) => !variables.has(name)),
    sources: results,
    listings: listingsOf(options.from ?? [], plan.listed),
  };
}

/**
 * Adds the variables that secrets name: each key of a whole one, and each secret under a prefix.
 * @param results those of the whole ones, and after them those of the listed ones
 */
async function addNamed(
  plan: Plan,
  results: readonly Resolved[],
  found: NameMap<Uint8Array>,
  settle: Settle,
): Promise<void> {
  // `-e` overrides it anyway.
  const addFound = (key: string, source: string, value: () => Uint8Array): void => {
    if (!plan.explicit.has(found.nameOf(key))) found.add(key, source, value());
  };
  const documentOf = plan.wholes.length === 0 ? undefined : await documentReader();
  for (const [index, ref] of plan.wholes.entries()) {
    settle(() => {
      const document = documentOf?.(results[index] as Resolved);
      if (document === undefined) return;
      for (const [key, text] of keysOf(document, ref))
        settle(() => addFound(key, ref, () => Buffer.from(text)));
    });
  }
  for (const [index, { key, source }] of plan.listed.entries()) {
    settle(() => addFound(key, source, () => valueOf(results[plan.wholes.length + index] as Resolved)));
  }
}

function listingsOf(from: readonly string[], listed: readonly Listed[]): readonly Listing[] {
  return from
    .filter(isPrefix)
    .map((ref) => ({ ref, found: listed.filter(({ source }) => source === ref).map((one) => one.ref) }));
}

/** Lists the secrets under a prefix again. @throws SecretsError */
export async function listAgain(
  session: Session,
  ref: string,
  open: (store: string) => Promise<Provider>,
): Promise<readonly string[]> {
  return (await listPrefix(session, ref, open)).map((one) => one.ref);
}

/** `--allow`. @throws SecretsError Usage for what is no name, and without `--from` */
function allowedNames({ allow, from }: SourceOptions): ReadonlySet<string> {
  const names = (allow ?? []).flatMap((list) => list.split(','));
  for (const name of names) checkVariableName(name);
  if (names.length > 0 && from === undefined)
    throw new SecretsError('Usage', '--allow is about the names from --from', {
      hint: 'name the secret as well: --from REF',
    });
  return new Set(names);
}

async function makePlan(
  session: Session,
  options: SourceOptions,
  withheld: ReadonlySet<string>,
  errors: SecretsError[],
): Promise<Plan> {
  const config = await session.config();
  const explicit = explicitVariables(options, errors);
  const base =
    options.resolveEnv === true
      ? inheritedReferences(session, config, withheld, errors)
      : new Map<string, Wanted>();
  const literals = new Map<string, string>();
  const untrusted = new Map<string, TrustLine>();
  for (const [name, entry] of options.project === false ? [] : config.env) {
    checkVariableName(name);
    base.delete(name);
    if (explicit.has(name)) continue;
    if (entry.untrusted !== undefined && entry.unlessSame !== true) {
      untrusted.set(name, entry.untrusted);
      continue;
    }
    if (entry.kind === 'literal') literals.set(name, entry.value);
    else {
      const { ref, as, optional } = entry;
      base.set(name, {
        name,
        ref,
        as,
        optional,
        untrusted: withheld.has(name) ? undefined : entry.untrusted,
      });
    }
  }
  const from = options.from ?? [];
  const listed = await Promise.all(
    from.filter(isPrefix).map((ref) =>
      listPrefix(session, ref).catch((thrown: unknown): Listed[] => {
        errors.push(toSecretsError(thrown).forReference(ref));
        return [];
      }),
    ),
  );
  return {
    base,
    literals,
    wholes: from.filter((ref) => !isPrefix(ref)),
    listed: listed.flat(),
    explicit,
    untrusted,
  };
}

function explicitVariables(options: SourceOptions, errors: SecretsError[]): Map<string, Wanted> {
  const variables = new Map<string, Wanted>();
  const given = [
    ...(options.env ?? []).map((text) => ['value', text] as const),
    ...(options.file ?? []).map((text) => ['file', text] as const),
  ];
  for (const [as, text] of given) {
    try {
      const [name, ref] = splitAssignment(text);
      if (variables.has(name)) throw new SecretsError('Usage', `the variable ${name} is given twice`);
      variables.set(name, { name, ref, as, optional: false });
    } catch (thrown) {
      errors.push(toSecretsError(thrown));
    }
  }
  return variables;
}

function valueOf(result: Resolved): Uint8Array {
  if (!result.ok) throw result.error;
  return result.value;
}

/**
 * Returns a reader for secrets, or single keys of them, as documents with keys. Loaded only for `--from`.
 * @throws SecretsError if the secret wasn't resolved, Invalid if it isn't JSON
 */
async function documentReader(): Promise<(result: Resolved) => JsonDocument> {
  const [{ JsonDocument: Document }, { secretDocument }] = await Promise.all([
    import('../core/document/document.ts'),
    import('../core/document/secret.ts'),
  ]);
  return (result) => {
    const value = valueOf(result);
    try {
      return result.ok && result.target.reference.key === undefined
        ? secretDocument(result.secret)
        : Document.parse(value);
    } catch (thrown) {
      throw toSecretsError(thrown).forReference(result.target.text);
    }
  };
}

/**
 * Whether an argument of `--from` stands for several secrets: `PREFIX/`, or `PREFIX*` where names have no slash.
 * After `#` or `?`, these characters belong to a key or version.
 */
function isPrefix(ref: string): boolean {
  return /^[^#?]*[/*]$/.test(ref);
}

/** One variable for each secret under a prefix. */
async function listPrefix(
  session: Session,
  ref: string,
  open: (store: string) => Promise<Provider> = (store) => session.open(store),
): Promise<Listed[]> {
  // The prefix must be the start of a valid name.
  const probe = parseReference(`${withoutStar(ref)}x`);
  const store = probe.store ?? (await session.defaultStore());
  const prefix = probe.name.slice(0, -1);
  session.asks(store, undefined, { name: prefix });
  const provider = await open(store);
  const found: Listed[] = [];
  for await (const { name } of provider.list({ prefix }, session.call())) {
    found.push({ key: name.slice(prefix.length), source: ref, ref: formatReference({ store, name }) });
  }
  if (found.length === 0) {
    throw new SecretsError('NotFound', 'no secret under this prefix', { reference: ref });
  }
  return found;
}

/**
 * Inherited variables whose whole value is a reference into a known store, or a native identifier of a secret. Any
 * word can be both a store's name and a URL scheme, so an untrusted file can't turn a value into a reference.
 */
function inheritedReferences(
  session: Session,
  config: Config,
  withheld: ReadonlySet<string>,
  errors: SecretsError[],
): Map<string, Wanted> {
  const { env, providers } = session.world;
  const { project } = config;
  const isTrusted = session.options.trust === true || (project?.trusted === true && project.lines.length > 0);
  const found = new Map<string, Wanted>();
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || withheld.has(name)) continue;
    const scheme = value.indexOf('://');
    const store = scheme > 0 ? config.stores.get(value.slice(0, scheme)) : undefined;
    if (store?.source === 'project' && !isTrusted) {
      errors.push(
        new SecretsError(
          'Policy',
          `${name} begins like a reference into ${store.name}, a store of ${config.file ?? 'secrets.yaml'}, which is not trusted`,
          { hint: `name it with -e ${name}=REF, or pass --trust` },
        ),
      );
      continue;
    }
    const isReference = store !== undefined;
    if (!isReference && !providers.some(({ native }) => native?.(value) !== undefined)) continue;
    found.set(name, { name, ref: value, as: 'value', optional: false });
  }
  return found;
}
