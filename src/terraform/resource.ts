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
import { identityOf, type Identity, isAnother, isSame, type Written } from './written.ts';

/** A state, and what the program keeps beside it for the provider. */
export interface Kept {
  readonly state: Attributes | null;
  readonly written: Written;
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
  return new SecretsError('Usage', 'a resource manages a whole secret', {
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

/** Does the work with the store of a secret; an error is about `ref` and names the secret. */
function withStore<T>(session: Session, ref: string, work: (opened: Opened) => Promise<T>): Promise<T> {
  return about('ref', async () => {
    const target = await whole(session, ref, true);
    try {
      const provider = await session.open(target.store, target.native);
      return await work({ target, provider, name: target.reference.name });
    } catch (thrown) {
      throw thrown instanceof SecretsError ? thrown.forReference(target.text) : thrown;
    }
  });
}

/** The secret of a state, wherever its `ref` leads by now. */
function placeOf(state: Attributes, written: Written): string {
  return written.ref ?? textOf(state, 'ref') ?? '';
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
  return withStore(session, placeOf(state, written), async (opened) => {
    const info = await found(session, opened);
    if (info === undefined || isAnother(info, written)) return { state: null, written };
    // A store that doesn't say which version is current has no drift to report.
    const version = info.currentVersion ?? state['version'] ?? null;
    return {
      state: { ...state, version },
      written: { ref: opened.target.text, ...identityOf(info), ...written },
    };
  });
}

/** @throws SecretsError NotFound */
export function importSecret(session: Session, ref: string): Promise<Kept> {
  return withStore(session, ref, async (opened) => {
    const info = await found(session, opened);
    if (info === undefined) throw new SecretsError('NotFound', 'not found, so it can’t be imported');
    const version = info.currentVersion;
    const state = { ref, value_wo: null, value_wo_version: null, encoding: null, version: version ?? null };
    // Without a value there is none that the first `value_wo_version` could stand for.
    const imported = (await hasValue(session, opened, info)) ? true : undefined;
    return { state, written: { version, ref: opened.target.text, ...identityOf(info), imported } };
  });
}

/** Whether a change gives an imported secret its first `value_wo_version`, which stands for the value it has. */
function adopts(prior: Attributes, written: Written, next: Attributes): boolean {
  const had = prior['value_wo_version'] ?? null;
  return written.imported === true && had === null && (next['value_wo_version'] ?? null) !== null;
}

function isWritten(prior: Attributes, written: Written, next: Attributes): boolean {
  return next['value_wo_version'] !== prior['value_wo_version'] && !adopts(prior, written, next);
}

/** @param proposed what the configuration asks for, with the state's computed attributes; null to destroy */
export async function plan(
  session: Session,
  { state: prior, written }: Kept,
  proposed: Attributes | null,
): Promise<Planned> {
  if (proposed === null)
    return { state: null, written, replace: [], warnings: prior === null ? [] : drift(prior, written, true) };
  const { ref } = proposed;
  // A mistyped store fails here and not in the middle of an apply.
  const target = typeof ref === 'string' ? await about('ref', () => whole(session, ref, false)) : undefined;
  if (prior === null)
    // What is kept stays: if this is the creation in a replacement, the destruction gets it from here.
    return { state: { ...proposed, value_wo: null, version: UNKNOWN }, written, replace: [], warnings: [] };

  const stays = target !== undefined && (await staysWith(session, prior, written, ref as string));
  const writes = !stays || isWritten(prior, written, proposed);
  return {
    state: { ...proposed, value_wo: null, version: writes ? UNKNOWN : (prior['version'] ?? null) },
    written: stays ? { ...written, ref: target.text } : written,
    replace: stays ? [] : [pathTo('ref')],
    warnings: !writes
      ? [...drift(prior, written, false), ...adoption(prior, written, proposed)]
      : stays
        ? await blindness(session, target)
        : [],
  };
}

/** Nobody can say what such a store has, so nothing tells that something else has written there. */
async function blindness(session: Session, { store, native, text }: Target): Promise<readonly Diagnostic[]> {
  const { capabilities } = await about('ref', () => session.open(store, native));
  if (capabilities.has('versions')) return [];
  return [
    warning(
      `${text} is overwritten, whatever it has`,
      `The store ${store} keeps no versions: a value that something else has written there can’t be noticed, and is lost.`,
      'ref',
    ),
  ];
}

/**
 * Whether the reference of a configuration leads to the secret of the state, however it is spelled.
 * @throws SecretsError Usage if it is spelled as before and leads to another one
 */
function staysWith(session: Session, prior: Attributes, written: Written, ref: string): Promise<boolean> {
  return about('ref', async () => {
    const [before, next] = [
      await whole(session, placeOf(prior, written), false),
      await whole(session, ref, false),
    ];
    const same = await isSame(before, written, next, () =>
      withStore(session, ref, (opened) => found(session, opened)),
    );
    if (same || ref !== prior['ref']) return same;
    throw new SecretsError('Usage', `leads to ${next.text} now, and this resource has ${before.text}`, {
      reference: ref,
      hint: `set ref to ${before.text} to keep that one, or to ${next.text} to replace it`,
    });
  });
}

function adoption(prior: Attributes, written: Written, next: Attributes): readonly Diagnostic[] {
  if (!adopts(prior, written, next)) return [];
  return [
    warning(
      `${String(prior['ref'])} was imported, and keeps its value`,
      'The first value_wo_version of an imported secret writes nothing. Change it again to write the value of this ' +
        'configuration.',
      'value_wo_version',
    ),
  ];
}

function drift(prior: Attributes, { version: own }: Written, isDestroyed: boolean): readonly Diagnostic[] {
  const { version } = prior;
  if (own === undefined || typeof version !== 'string' || version === own) return [];
  return [
    warning(
      `${String(prior['ref'])} was written by something else`,
      `Its current version is ${version}, and the last one from here was ${own}. ` +
        (isDestroyed
          ? 'It is deleted nevertheless.'
          : 'The value in the store stays. Change value_wo_version to write the value of this configuration.'),
      'ref',
    ),
  ];
}

/**
 * Carries out a plan. A failure leaves the secret as it was, or as the service says in its error.
 * @param config has the value
 */
export async function apply(
  session: Session,
  { state: prior, written }: Kept,
  planned: Attributes | null,
  config: Attributes | null,
): Promise<Kept> {
  if (planned === null) {
    if (prior !== null) await destroy(session, prior, written);
    return { state: null, written };
  }
  if (prior !== null && !isWritten(prior, written, planned)) {
    // It was not known when the plan was made, and turned out to be the same; or it writes no value.
    const version =
      planned['version'] === UNKNOWN ? (prior['version'] ?? null) : (planned['version'] ?? null);
    const { imported, ...rest } = written;
    const kept = imported === true && (planned['value_wo_version'] ?? null) === null ? written : rest;
    return { state: { ...planned, value_wo: null, version }, written: kept };
  }
  const place = prior === null ? (textOf(planned, 'ref') ?? '') : placeOf(planned, written);
  return withStore(session, place, async (opened) => {
    const value = await about('value_wo', () => decodeValue(config ?? {}));
    const seen = prior === null ? { isNew: true } : { isNew: false, version: textOf(prior, 'version') };
    if (prior !== null) await checkIdentity(session, opened, written);
    const { id } = await write(session, opened, value, seen);
    const identity = prior === null ? await learned(session, opened) : identityOf(written);
    return {
      state: { ...planned, value_wo: null, version: id },
      written: { version: id, ref: opened.target.text, ...identity },
    };
  });
}

/** A condition on the version isn't enough where versions count from 1 again. @throws SecretsError Conflict */
async function checkIdentity(session: Session, opened: Opened, written: Written): Promise<void> {
  const info = await found(session, opened);
  if (info !== undefined && isAnother(info, written)) throw another('written');
}

function another(done: string): SecretsError {
  return new SecretsError('Conflict', 'is another secret of this name than the one in the state', {
    hint: `nothing was ${done}; make a new plan`,
  });
}

/** What the plan saw: no secret that is in the state, or a secret and its current version, if it had one. */
interface Seen {
  readonly isNew: boolean;
  readonly version?: string | undefined;
}

/**
 * Writes the value if the secret is as the plan saw it.
 * @throws SecretsError Conflict if somebody else was there first
 */
async function write(session: Session, opened: Opened, value: Uint8Array, seen: Seen): Promise<VersionInfo> {
  const { provider, name } = opened;
  provider.checkName(name);
  const { maxValueBytes } = provider.rules;
  if (value.length > maxValueBytes)
    throw new SecretsError('Invalid', `the value is larger than this store allows: ${maxValueBytes} bytes`);
  for (;;) {
    const cas = provider.capabilities.has('cas');
    try {
      if (!cas) await compare(session, opened, seen);
      return await provider.put(name, { value, ...(cas && conditionFor(seen)) }, session.call());
    } catch (thrown) {
      // The store has shown only now that it has no conditional write.
      if (cas && !provider.capabilities.has('cas')) continue;
      throw conflictOf(thrown, seen);
    }
  }
}

function conditionFor(seen: Seen): { readonly ifAbsent: true } | { readonly ifVersion: string } {
  return seen.version === undefined ? { ifAbsent: true } : { ifVersion: seen.version };
}

/** For a store without conditional writes, which leaves a moment in which somebody else can write. */
async function compare(session: Session, opened: Opened, seen: Seen): Promise<void> {
  const info = await found(session, opened);
  if (seen.isNew) {
    if (info !== undefined && (await hasValue(session, opened, info)))
      throw new SecretsError('Conflict', 'already exists');
    return;
  }
  if (info === undefined) throw new SecretsError('Conflict', 'does not exist any more');
  const { currentVersion: now } = info;
  // A store without versions can't tell.
  if (now !== undefined && now !== seen.version)
    throw new SecretsError('Conflict', `its current version is ${now}`);
}

/** A secret may be there before it has a value: declared by a policy, or by somebody who fills it later. */
async function hasValue(session: Session, { provider, name }: Opened, info: SecretInfo): Promise<boolean> {
  if (info.currentVersion !== undefined || provider.history === undefined) return true;
  if (!provider.capabilities.has('versions')) return true;
  for await (const { stages } of provider.history(name, session.call()))
    if (stages.includes('current')) return true;
  return false;
}

/** What the store says, and what is certain here. Whether anything was written is up to the store to say. */
function conflictOf(thrown: unknown, seen: Seen): SecretsError {
  const error = toSecretsError(thrown);
  if (error.kind !== 'Conflict') return error;
  const [also, next] = seen.isNew
    ? [', and is not in the state', 'import it to manage it from here, or use another name']
    : ['', 'make a new plan'];
  const hint = error.hint === undefined ? next : seen.isNew ? error.hint : `${next}; ${error.hint}`;
  return new SecretsError('Conflict', `${error.message}${also}`, { hint, cause: error });
}

/** What tells a new secret from others of its name. The write is made: nothing that fails here changes that. */
async function learned(session: Session, { provider, name }: Opened): Promise<Identity> {
  try {
    return identityOf(await provider.describe(name, session.call()));
  } catch {
    return {};
  }
}

/** Deletes the secret of the plan so that it can be restored. One that is gone already is fine. */
function destroy(session: Session, prior: Attributes, written: Written): Promise<void> {
  return withStore(session, placeOf(prior, written), async (opened) => {
    const { provider, target, name } = opened;
    if (!provider.capabilities.has('soft-delete'))
      throw new SecretsError('Unsupported', `the store ${target.store} can’t undo a deletion`, {
        hint:
          `delete it with secrets purge ${target.text}, or keep it with a removed block that has ` +
          'lifecycle { destroy = false }',
      });
    const info = await found(session, opened);
    if (info === undefined) return;
    checkUnchanged(info, prior, written);
    try {
      await provider.delete(name, {}, session.call());
    } catch (thrown) {
      if (!(thrown instanceof SecretsError && thrown.kind === 'NotFound')) throw thrown;
    }
  });
}

/** @throws SecretsError Conflict if the plan was made for another secret or another version */
function checkUnchanged(info: SecretInfo, prior: Attributes, written: Written): void {
  const { currentVersion: now } = info;
  const planned = textOf(prior, 'version');
  if (isAnother(info, written)) throw another('deleted');
  if (now !== undefined && planned !== undefined && now !== planned)
    throw new SecretsError('Conflict', `its current version is ${now}, and ${planned} in the plan`, {
      hint: 'nothing was deleted; make a new plan',
    });
}
