/**
 * What is kept beside the state of a resource, and what it tells: whether a secret that is found later is the one that
 * was written from here. A name alone doesn't: the default store may be another by then, a name can be spelled in
 * several ways, and whoever deletes a secret for good can make another of its name, whose versions count from 1 again.
 */
import type { SecretInfo } from '../core/secret.ts';
import type { Target } from '../session/resolver.ts';

export interface Identity {
  /** The service's own identifier, such as an ARN. */
  readonly nativeId?: string | undefined;
  /** When it was created, as ISO 8601. */
  readonly createdAt?: string | undefined;
}

export interface Written extends Identity {
  /** The version that was written or imported from here. */
  readonly version?: string | undefined;
  /** The reference with its store, whatever `ref` leads to by now. */
  readonly ref?: string | undefined;
  /** The secret was imported, and has had no `value_wo_version` since. */
  readonly imported?: true | undefined;
}

type Known = Identity | Pick<SecretInfo, 'nativeId' | 'createdAt'>;

/** What tells the secret from others of its name, as far as the service says. */
export function identityOf({ nativeId, createdAt }: Known): Identity {
  return {
    ...(nativeId !== undefined && { nativeId }),
    ...(createdAt !== undefined && { createdAt: new Date(createdAt).toISOString() }),
  };
}

/** Whether the secret is certainly not the one that was written. */
export function isAnother(info: SecretInfo, written: Identity): boolean {
  const now = identityOf(info);
  const differs = (one: string | undefined, other: string | undefined): boolean =>
    one !== undefined && other !== undefined && one !== other;
  return differs(now.nativeId, written.nativeId) || differs(now.createdAt, written.createdAt);
}

/**
 * Whether two references lead to one secret: another spelling, or a service's own identifier of what a name stands for.
 * @param find describes the secret of the second
 */
export async function isSame(
  one: Target,
  written: Written,
  other: Target,
  find: () => Promise<SecretInfo | undefined>,
): Promise<boolean> {
  if (one.text === other.text) return true;
  const { nativeId } = written;
  // Of two names, one is another secret: identifiers are only unique within their service.
  if (nativeId === undefined || (one.native ?? other.native) === undefined) return false;
  const info = await find();
  return info?.nativeId === nativeId && !isAnother(info, written);
}
