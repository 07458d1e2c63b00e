/** A policy's `native:` section, and the store's implementation of it. */
import type { PolicyConfig } from '../config/config.ts';
import { parsePeriod } from '../core/duration.ts';
import { SecretsError } from '../core/errors.ts';
import type { NativeRotations, NativeWish } from '../providers/capabilities/rotation.ts';
import type { Provider } from '../providers/provider.ts';

/** The part of a job that comes from a policy's `native:`. */
export interface NativeJob {
  readonly rotations: NativeRotations;
  readonly wish: NativeWish;
  /** The service creates the versions, or has them created: `secrets` itself creates none. */
  readonly starts: boolean;
}

/** @throws SecretsError Usage for a policy that doesn't fit the store */
export async function openNative(
  provider: Provider,
  kind: string,
  policy: PolicyConfig | undefined,
): Promise<NativeJob | undefined> {
  const { native, every, ...rest } = policy?.settings ?? {};
  if (policy === undefined || native === undefined) return undefined;
  const wrong = (message: string, hint: string): SecretsError =>
    new SecretsError('Usage', `${policy.file}:${policy.line}: ${message}`, { hint });
  if (policy.nativeKind !== kind || provider.nativeRotation === undefined)
    throw wrong(
      `native is written for a store of ${policy.nativeKind ?? 'another kind'}, and the secret is in one of ${kind}`,
      'name the store in the reference',
    );
  const rotations = await provider.nativeRotation();
  const starts = rotations.start !== undefined;
  const { keys, generate, target, grace } = rest;
  if (
    starts &&
    (keys ?? generate ?? grace ?? (target?.['type'] === 'none' ? undefined : target)) !== undefined
  )
    throw wrong(
      `${kind} has the new value made, so that keys, generate, target and grace mean nothing beside native`,
      'remove them, or native',
    );
  return {
    rotations,
    starts,
    wish: { settings: native, everyMs: every === undefined ? undefined : parsePeriod(every) },
  };
}
