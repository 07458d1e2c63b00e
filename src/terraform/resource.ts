/**
 * `resource "secrets_secret"`: writes a secret whose value is in no state and no plan.
 *
 * The state has the id of the current version, and the private part beside it the id of the version that was written
 * from here. They differ when somebody else, or a rotation, has written since. That is reported and left alone: the
 * value of the configuration is only written when the secret is created and when `value_wo_version` changes.
 */
import { SecretsError, toSecretsError } from '../core/errors.ts';
import type { SecretInfo, VersionInfo } from '../core/secret.ts';
import type { Provider } from '../providers/provider.ts';
import type { Target } from '../session/resolver.ts';
import type { Session } from '../session/session.ts';
import { about, type AttributePath, type Diagnostic, pathTo, warning } from './diagnostics.ts';
import { checkEncoding, decodeValue } from './encoding.ts';
import { checkReference } from './reading.ts';
import { type Attributes, textOf, UNKNOWN } from './values.ts';

/** A state, and what the program keeps beside it for the provider. */
export interface Kept {
  readonly state: Attributes | null;
  readonly written: Written;
}

/** The version that was written or imported from here. */
export interface Written {
  readonly version?: string | undefined;
}

export interface Planned extends Kept {
  readonly replace: readonly AttributePath[];
  readonly warnings: readonly Diagnostic[];
}

/** @throws SecretsError for what is wrong without asking a store */
export async function check(session: Session, config: Attributes): Promise<void> {
  const { ref } = config;
  if (typeof ref === 'string')
    await about('ref', () => {
      checkReference(session, ref);
      if (/[?#]/.test(ref)) throw notWhole(ref);
    });
  await about('encoding', () => checkEncoding(config));
}

function notWhole(ref: string): SecretsError {
  return new SecretsError('Usage', 'a resource is a whole secret', {
    reference: ref,
    hint: 'omit #key, ?version= and ?stage=; for several keys, use value_wo = jsonencode({ … })',
  });
}

interface Opened {
  readonly target: Target;
  readonly name: string;
  readonly provider: Provider;
}

async function whole(session: Session, ref: string, asked: boolean): Promise<Target> {
  const target = await session.target(ref, asked);
  const { key, version, stage } = target.reference;
  if (key !== undefined || version !== undefined || stage !== undefined) throw notWhole(target.text);
  return target;
}

/** Does the work with the store of a resource; an error is about its `ref` and names it. */
function withStore<T>(session: Session, block: Attributes, work: (opened: Opened) => Promise<T>): Promise<T> {
  return about('ref', async () => {
    const target = await whole(session, textOf(block, 'ref') ?? '', true);
    try {
      const provider = await session.open(target.store, target.native);
      return await work({ target, provider, name: target.reference.name });
    } catch (thrown) {
      throw thrown instanceof SecretsError ? thrown.forReference(target.text) : thrown;
    }
  });
}

/** The secret, unless there is none or it is deleted. */
async function found(session: Session, { provider, name }: Opened): Promise<SecretInfo | undefined> {
  try {
    const info = await provider.describe(name, session.call());
    return info.deletedAt === undefined ? info : undefined;
  } catch (thrown) {
    if (thrown instanceof SecretsError && thrown.kind === 'NotFound') return undefined;
    throw thrown;
  }
}

/** The state of a refresh: the current version, or null if the secret is gone. Reads no value. */
export function refresh(session: Session, { state, written }: Kept): Promise<Kept> {
  if (state === null) return Promise.resolve({ state, written });
  return withStore(session, state, async (opened) => {
    const info = await found(session, opened);
    if (info === undefined) return { state: null, written };
    // A store that doesn't say which version is current has no drift to report.
    const version = info.currentVersion ?? state['version'] ?? null;
    return { state: { ...state, version }, written };
  });
}

/** @throws SecretsError NotFound */
export function importSecret(session: Session, ref: string): Promise<Kept> {
  return withStore(session, { ref }, async (opened) => {
    const info = await found(session, opened);
    if (info === undefined) throw new SecretsError('NotFound', 'not found, so it can’t be imported');
    const version = info.currentVersion;
    const state = { ref, value_wo: null, value_wo_version: null, encoding: null, version: version ?? null };
    return { state, written: { version } };
  });
}

/** @param proposed what the configuration asks for, with the state's computed attributes; null to destroy */
export async function plan(
  session: Session,
  { state: prior, written }: Kept,
  proposed: Attributes | null,
): Promise<Planned> {
  if (proposed === null) return { state: null, written, replace: [], warnings: [] };
  const { ref } = proposed;
  const moved = prior !== null && ref !== prior['ref'];
  const writes = prior === null || moved || proposed['value_wo_version'] !== prior['value_wo_version'];
  // A mistyped store fails here and not in the middle of an apply.
  if (writes && typeof ref === 'string') await about('ref', () => whole(session, ref, false));
  const version = writes ? UNKNOWN : (prior['version'] ?? null);
  return {
    state: { ...proposed, value_wo: null, version },
    written,
    replace: moved ? [pathTo('ref')] : [],
    warnings: writes ? [] : drift(prior, written),
  };
}

function drift(prior: Attributes, { version: own }: Written): readonly Diagnostic[] {
  const { version } = prior;
  if (own === undefined || typeof version !== 'string' || version === own) return [];
  return [
    warning(
      `${String(prior['ref'])} was written by something else`,
      `Its current version is ${version}, and the last one from here was ${own}. The value in the store stays. ` +
        'Change value_wo_version to write the value of this configuration.',
      'ref',
    ),
  ];
}

/**
 * Carries out a plan. A failure leaves the secret as it was, or as the service says in its error.
 * @param config has the value
 */
export function apply(
  session: Session,
  { state: prior, written }: Kept,
  planned: Attributes | null,
  config: Attributes | null,
): Promise<Kept> {
  if (planned === null) {
    if (prior === null) return Promise.resolve({ state: null, written });
    return destroy(session, prior).then(() => ({ state: null, written }));
  }
  if (prior !== null && planned['value_wo_version'] === prior['value_wo_version']) {
    // It was not known when the plan was made, and turned out to be the same; or only the encoding has changed.
    const version =
      planned['version'] === UNKNOWN ? (prior['version'] ?? null) : (planned['version'] ?? null);
    return Promise.resolve({ state: { ...planned, value_wo: null, version }, written });
  }
  return withStore(session, planned, async (opened) => {
    const value = await about('value_wo', () => decodeValue(config ?? {}));
    const before = prior === null ? undefined : textOf(prior, 'version');
    const { id } = await write(session, opened, value, prior === null ? 'absent' : before);
    return { state: { ...planned, value_wo: null, version: id }, written: { version: id } };
  });
}

/**
 * Writes the value if the secret is as the plan saw it.
 * @param seen the version that was current; `absent` to create the secret
 * @throws SecretsError Conflict if somebody else was there first
 */
async function write(
  session: Session,
  opened: Opened,
  value: Uint8Array,
  seen: string | undefined,
): Promise<VersionInfo> {
  const { provider, name } = opened;
  provider.checkName(name);
  const { maxValueBytes } = provider.rules;
  if (value.length > maxValueBytes)
    throw new SecretsError('Invalid', `the value is larger than this store allows: ${maxValueBytes} bytes`);
  for (;;) {
    const cas = provider.capabilities.has('cas');
    try {
      if (!cas) await compare(session, opened, seen);
      const condition = !cas || seen === undefined ? {} : conditionFor(seen);
      return await provider.put(name, { value, ...condition }, session.call());
    } catch (thrown) {
      // The store has shown only now that it has no conditional write.
      if (cas && !provider.capabilities.has('cas')) continue;
      throw conflictOf(thrown, seen);
    }
  }
}

function conditionFor(seen: string): { readonly ifAbsent: true } | { readonly ifVersion: string } {
  return seen === 'absent' ? { ifAbsent: true } : { ifVersion: seen };
}

/** For a store without conditional writes, which leaves a moment in which somebody else can write. */
async function compare(session: Session, opened: Opened, seen: string | undefined): Promise<void> {
  const info = await found(session, opened);
  if (seen === 'absent') {
    if (info !== undefined) throw new SecretsError('Conflict', 'already exists');
    return;
  }
  if (info === undefined) throw new SecretsError('Conflict', 'does not exist any more');
  const { currentVersion: now } = info;
  // A store without versions can't tell.
  if (seen !== undefined && now !== undefined && now !== seen)
    throw new SecretsError('Conflict', `its current version is ${now}`);
}

function conflictOf(thrown: unknown, seen: string | undefined): SecretsError {
  const error = toSecretsError(thrown);
  if (error.kind !== 'Conflict') return error;
  return seen === 'absent'
    ? new SecretsError('Conflict', `${error.message}, and this resource did not create it`, {
        hint: `nothing was written; ${error.hint ?? 'import it to manage it from here, or use another name'}`,
      })
    : new SecretsError('Conflict', 'something else has written it since the plan was made', {
        hint: 'nothing was written; make a new plan',
        cause: error,
      });
}

/** Deletes the secret so that it can be restored. One that is gone already is fine. */
function destroy(session: Session, prior: Attributes): Promise<void> {
  return withStore(session, prior, async ({ provider, target, name }) => {
    if (!provider.capabilities.has('soft-delete'))
      throw new SecretsError('Unsupported', `the store ${target.store} can’t undo a deletion`, {
        hint:
          `delete it with secrets purge ${target.text}, or keep it with a removed block that has ` +
          'lifecycle { destroy = false }',
      });
    try {
      await provider.delete(name, {}, session.call());
    } catch (thrown) {
      if (!(thrown instanceof SecretsError && thrown.kind === 'NotFound')) throw thrown;
    }
  });
}
