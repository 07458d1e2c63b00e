/**
 * Resolves references to values: groups them by store, asks each store once, all stores at the same time, and
 * extracts the keys from the results. Knows no provider by name.
 */
import type { CallOptions } from '../providers/call.ts';
import type { GetResult, Provider, SecretRequest } from '../providers/provider.ts';
import type { NativeReference } from '../providers/descriptor.ts';
import type { SecretVersion } from '../core/secret.ts';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import type { Reference } from '../core/reference/reference.ts';

/** A reference, the store it belongs to, and the text that the user wrote. */
export interface Target {
  /** What messages call it. */
  readonly text: string;
  readonly store: string;
  readonly reference: Reference;
  /** Settings that a native identifier implies. */
  readonly native?: NativeReference['settings'];
}

/** What values are read from. */
export type Reader = Pick<Provider, 'get'>;

/** A value, or why there is none. */
export type Resolved =
  | { readonly ok: true; readonly target: Target; readonly value: Uint8Array; readonly secret: SecretVersion }
  | { readonly ok: false; readonly target: Target; readonly error: SecretsError };

/**
 * Resolves all targets, in their order. Never rejects because of single targets: every failure is in its place, so
 * that a caller can list them all.
 * @param open opens a target's store; a rejection fails only that store's targets
 */
export async function resolveAll(
  targets: readonly Target[],
  open: (target: Target) => Promise<Reader>,
  options: CallOptions,
): Promise<readonly Resolved[]> {
  const groups = new Map<string, number[]>();
  for (const [index, target] of targets.entries()) {
    const group = `${target.store}\n${JSON.stringify(target.native ?? null)}`;
    const members = groups.get(group);
    if (members === undefined) groups.set(group, [index]);
    else members.push(index);
  }
  const resolved: Resolved[] = [];
  await Promise.all(
    [...groups.values()].map(async (indexes) => {
      const members = indexes.map((index) => targets[index] as Target);
      const answers = await askStore(members, open, options);
      for (const [position, index] of indexes.entries()) resolved[index] = answers[position] as Resolved;
    }),
  );
  return resolved;
}

/** One request, and the keys that are wanted from its result; `undefined` stands for the whole value. */
interface Asked extends SecretRequest {
  readonly parts: Set<string | undefined>;
  readonly position: number;
}

function requestOf({ name, version, stage, parts }: Asked): SecretRequest {
  const keys = [...parts].filter((part) => part !== undefined);
  return keys.length < parts.size ? { name, version, stage } : { name, version, stage, keys };
}

async function askStore(
  targets: readonly Target[],
  open: (target: Target) => Promise<Reader>,
  options: CallOptions,
): Promise<readonly Resolved[]> {
  // Several keys of one secret need only one request.
  const asked = new Map<string, Asked>();
  const positions = targets.map(({ reference: { name, version, stage, key: part } }) => {
    const key = JSON.stringify([name, version, stage]);
    const known = asked.get(key) ?? { name, version, stage, parts: new Set(), position: asked.size };
    asked.set(key, known);
    known.parts.add(part);
    return known.position;
  });
  let answers: readonly GetResult[];
  try {
    const provider = await open(targets[0] as Target);
    answers = await provider.get([...asked.values()].map(requestOf), options);
  } catch (thrown) {
    const error = toSecretsError(thrown);
    return targets.map((target) => ({ ok: false, target, error: error.forReference(target.text) }));
  }
  return Promise.all(
    targets.map(async (target, index): Promise<Resolved> => {
      const answer = answers[positions[index] as number] as GetResult;
      if (!answer.ok) return { ok: false, target, error: answer.error.forReference(target.text) };
      try {
        return {
          ok: true,
          target,
          secret: answer.secret,
          value: await selectValue(answer.secret, target.reference.key),
        };
      } catch (thrown) {
        return { ok: false, target, error: toSecretsError(thrown).forReference(target.text) };
      }
    }),
  );
}

/**
 * The whole value, or one of its keys.
 * @throws SecretsError NotFound if the key doesn't exist, Invalid if the value has no keys
 */
export async function selectValue(secret: SecretVersion, key: string | undefined): Promise<Uint8Array> {
  if (key === undefined) return secret.value;
  // Loaded only for a key: a whole value is never parsed.
  const { keyText } = await import('../core/document/secret.ts');
  return Buffer.from(keyText(secret, key));
}
