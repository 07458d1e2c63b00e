/**
 * The target `aws-iam`: an access key of an IAM user. AWS creates the keys and allows two for each user: the new one
 * works beside the old one, which is deactivated and deleted after its grace period.
 *
 * If the response with a new key is lost, its secret is lost too. So before a key is created, a tag on the user records
 * the rotation and the existing keys: a key that isn't on that list and was never used is this rotation's orphan.
 */
import { randomBytes } from 'node:crypto';
import { SecretsError, toSecretsError } from '../../../core/errors.ts';
import { sleep } from '../../../core/waiting.ts';
import type {
  Credential,
  Known,
  RetirePhase,
  Rotation,
  Target,
  TargetContext,
  TargetFinding,
  TargetSettings,
  Verdict,
} from '../../target.ts';
import { hasKey, keyIdOf, keyOf, withKey } from './key.ts';
import { type Caller, IamService, type ListedKey } from './service.ts';
import type { IamSettings } from './settings.ts';

/** The user's tag while a rotation creates a key. */
const TAG = 'secrets-rotation';
/** How long to wait for IAM's changes to propagate, which takes seconds, and the poll interval; in milliseconds. */
const SPREADING = 60_000;
const POLL = 1_000;

interface Signed {
  readonly service: IamService;
  readonly user: string;
}

/** @throws SecretsError Usage for an administrator without the user that it manages */
export function open(settings: TargetSettings, context: TargetContext): Target {
  if (settings['admin'] !== undefined && settings['user'] === undefined)
    throw new SecretsError(
      'Usage',
      'an administrator makes keys for the user that the target names, and it names none',
      {
        reference: context.reference,
        hint: 'set user of the target',
      },
    );
  return new IamTarget(settings, context);
}

class IamTarget implements Target {
  readonly #settings: IamSettings;
  readonly #context: TargetContext;

  constructor(settings: IamSettings, context: TargetContext) {
    this.#settings = settings;
    this.#context = context;
  }

  limitKey(): string {
    return 'aws-iam';
  }

  async check(known: Known, signal: AbortSignal): Promise<readonly TargetFinding[]> {
    const check = 'sign-in to AWS';
    try {
      await this.#control(known, signal);
      const { service, user } = await this.#signIn(known, signal);
      const findings: TargetFinding[] = [{ check, status: 'ok', detail: `for the user ${user}` }];
      const keys = await service.keys(user, signal);
      findings.push(roomAhead(keys, this.#unknown(keys, known), user));
      await service.tag(user, TAG, signal);
      findings.push(...(await this.#checkCurrent(known, signal)));
      return [
        ...findings,
        { check: 'right to read the user’s tags', status: 'ok', detail: 'iam:ListUserTags' },
      ];
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const { kind, message, hint } = toSecretsError(thrown);
      return [{ check, status: 'fail', kind, detail: message, hint }];
    }
  }

  async issue(known: Known, rotation: Rotation, signal: AbortSignal): Promise<Credential> {
    const { service, user } = await this.#signIn(known, signal);
    await this.#removeOrphans({ service, user }, known, rotation, signal);
    const keys = await service.keys(user, signal);
    const { status, detail, hint } = room(keys, this.#unknown(keys, known), user);
    if (status !== 'ok') throw new SecretsError('Conflict', detail, { hint });
    await service.setTag(user, TAG, [rotation.id, ...keys.map(({ id }) => id)].join('/'), signal);
    return withKey(known.current, await service.createKey(user, signal));
  }

  async abandon(known: Known, rotation: Rotation, signal: AbortSignal): Promise<void> {
    await this.#removeOrphans(await this.#signIn(known, signal), known, rotation, signal);
  }

  /**
   * The key already exists: activates it if it is inactive, and waits until it is known everywhere. The status is read
   * from IAM, because a successful sign-in says nothing about changes that are still on their way.
   */
  async apply(credential: Credential, known: Known, _rotation: Rotation, signal: AbortSignal): Promise<void> {
    const { id } = keyOf(credential);
    const { service, user } = await this.#signIn(known, signal);
    const listed = (await service.keys(user, signal)).find((key) => key.id === id);
    if (listed === undefined) {
      if ((await this.#service(credential).caller(signal)) !== undefined)
        throw new SecretsError('Conflict', `the access key ${id} does not belong to the user ${user}`, {
          hint: 'set user of the target to the user whose key the secret has',
        });
      throw new SecretsError('NotFound', `the access key ${id} is deleted`, { hint: 'rotate to a new one' });
    }
    if (!listed.active) await service.setActive(user, id, true, signal);
    const end = Date.now() + SPREADING;
    while ((await this.verify(credential, signal)) !== 'accepted') {
      if (Date.now() > end)
        throw new SecretsError('Unavailable', `AWS does not accept the access key ${id} yet`, {
          hint: 'run secrets rotate resume',
        });
      await sleep(POLL, signal, true);
    }
  }

  async verify(credential: Credential, signal: AbortSignal): Promise<Verdict> {
    const caller = await this.#service(credential).caller(signal);
    if (caller === undefined) return 'refused';
    const { user } = this.#settings;
    if (user === undefined || caller.user === user) return 'accepted';
    throw anotherUser(caller.arn, user);
  }

  async #checkCurrent({ current }: Known, signal: AbortSignal): Promise<readonly TargetFinding[]> {
    if (current === undefined || !hasKey(current)) return [];
    if ((await this.verify(current, signal)) === 'accepted') return [];
    return [
      {
        check: 'sign-in with the current credential',
        status: this.#settings.admin === undefined ? 'fail' : 'warn',
        kind: 'Unauthenticated',
        detail: 'AWS does not accept the stored access key',
        hint: 'store a working key with secrets put, then rotate',
      },
    ];
  }

  /** Checks that AWS, or its emulator, rejects the same key with another secret. */
  async #control({ current }: Known, signal: AbortSignal): Promise<void> {
    if (current === undefined || !hasKey(current)) return;
    const key = { id: keyOf(current).id, secret: randomBytes(30).toString('base64') };
    const service = new IamService(key, this.#settings, this.#context, this.#context.reference);
    if ((await service.caller(signal)) === undefined) return;
    throw new SecretsError(
      'Unsupported',
      'AWS accepts this access key with any secret, so a sign-in proves nothing',
      {
        hint: 'check endpoint of the target: this is not AWS, or it checks no signatures',
      },
    );
  }

  async retire(old: Credential, current: Credential, phase: RetirePhase, signal: AbortSignal): Promise<void> {
    const id = keyIdOf(old);
    // A version without a key has nothing to retire.
    if (
      id === undefined ||
      id === keyOf(current).id ||
      (phase === 'superseded' && this.#settings.deactivate !== true)
    )
      return;
    const known = { current, pending: undefined, previous: old };
    const { service, user } = await this.#signIn(known, signal);
    const listed = (await service.keys(user, signal)).find((key) => key.id === id);
    if (listed === undefined) return;
    if (listed.active) await service.setActive(user, id, false, signal);
    if (phase === 'expired') await service.deleteKey(user, id, signal);
  }

  async close(): Promise<void> {}

  /** Deletes keys that this rotation created and that no version of the secret contains. */
  async #removeOrphans(
    { service, user }: Signed,
    known: Known,
    rotation: Rotation,
    signal: AbortSignal,
  ): Promise<void> {
    const [id, ...before] = (await service.tag(user, TAG, signal))?.split('/') ?? [];
    if (id !== rotation.id) return;
    const strange = this.#unknown(await service.keys(user, signal), known);
    for (const key of strange) {
      if (before.includes(key.id) || (await service.lastUsed(key.id, signal)) !== undefined) continue;
      this.#context.debug(`deleting the access key ${key.id}, which this rotation made and lost`);
      await service.deleteKey(user, key.id, signal);
    }
  }

  #unknown(keys: readonly ListedKey[], { current, pending, previous }: Known): readonly ListedKey[] {
    const ids = [current, pending, previous].map(keyIdOf);
    return keys.filter(({ id }) => !ids.includes(id));
  }

  /** Signs in with the administrator's key, or with whichever of the user's own keys works. */
  async #signIn(known: Known, signal: AbortSignal): Promise<Signed> {
    const { admin, user } = this.#settings;
    const own = [known.current, known.pending, known.previous].filter(
      (one): one is Credential => one !== undefined && hasKey(one),
    );
    let service: IamService | undefined;
    let caller: Caller | undefined;
    for (const credential of own) {
      const candidate = this.#service(credential);
      caller = await candidate.caller(signal);
      if (caller === undefined) continue;
      service = candidate;
      break;
    }
    const name = user ?? caller?.user;
    // The user whose keys change comes from the settings or from the key itself; if both name one, they have to agree.
    if (caller !== undefined && name !== undefined && caller.user !== name)
      throw anotherUser(caller.arn, name);
    if (admin !== undefined) {
      service = this.#service(await this.#context.read(admin, signal), admin);
      const administrator = await service.caller(signal);
      if (administrator === undefined)
        throw new SecretsError('Unauthenticated', 'AWS does not accept the administrator’s access key', {
          reference: admin,
        });
      if (caller !== undefined && administrator.account !== caller.account)
        throw new SecretsError('Conflict', 'the administrator’s access key is for another AWS account', {
          reference: admin,
          hint: `the user is in ${caller.account ?? 'none'}, the administrator in ${administrator.account ?? 'none'}`,
        });
    }
    if (service === undefined)
      throw new SecretsError('Unauthenticated', 'AWS accepts none of the secret’s access keys', {
        reference: this.#context.reference,
        hint: 'store a working key with secrets put, or name an administrator’s secret as admin of the target',
      });
    if (name === undefined)
      throw new SecretsError('Invalid', 'the IAM user of the key is unknown', {
        reference: this.#context.reference,
        hint: 'set user of the target',
      });
    return { service, user: name };
  }

  #service(credential: Credential, source = this.#context.reference): IamService {
    return new IamService(keyOf(credential), this.#settings, this.#context, source);
  }
}

function anotherUser(arn: string, user: string): SecretsError {
  return new SecretsError('Conflict', `the access key is for ${arn}, not for the user ${user}`, {
    hint: 'correct user of the target, or store that user’s key in the secret',
  });
}

/** Before a rotation: a replaced key is deleted to make room, after all other checks have passed. */
function roomAhead(keys: readonly ListedKey[], strange: readonly ListedKey[], user: string): TargetFinding {
  const found = room(keys, strange, user);
  if (found.status === 'ok' || strange.length > 0) return found;
  const detail = 'the replaced access key will be deleted, though its grace time may not be over';
  return { check: found.check, status: 'warn', detail };
}

/** AWS allows two keys for each user: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
function room(keys: readonly ListedKey[], strange: readonly ListedKey[], user: string): TargetFinding {
  const check = 'room for a second key';
  if (keys.length < 2) return { check, status: 'ok', detail: `${keys.length} of 2` };
  if (strange.length === 0) {
    const hint = 'wait for the end of the replaced key’s grace time';
    return { check, status: 'fail', detail: `both access keys of the user ${user} are in use`, hint };
  }
  const names = strange.map(({ id, active }) => `${id} (${active ? 'active' : 'inactive'})`).join(', ');
  const detail = `the user ${user} has an access key that is not in the secret: ${names}`;
  const hint = 'see whose it is, and delete it if nobody’s: aws iam get-access-key-last-used';
  return { check, status: 'fail', detail, hint };
}
