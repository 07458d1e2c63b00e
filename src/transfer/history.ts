/** Finds the versions that a copied history still lacks. */
import { SecretsError } from '../core/errors.ts';
import { copiedVersions, type Pair } from '../core/transfer.ts';
import type { SecretVersion } from '../core/secret.ts';
import { requireMethod } from '../providers/capabilities/require.ts';
import type { Session } from '../session/session.ts';
import type { Sides } from './compare.ts';
import type { Pace } from './pace.ts';
import type { Place } from './place.ts';

/**
 * The versions that still have to be written, in order. An interrupted copy is recognised by its versions: they equal
 * the first ones of the source.
 * @throws SecretsError Conflict when the target has versions of its own, Unsupported without `versions`
 */
export async function missingVersions(
  session: Session,
  { source, target, sourcePace, targetPace }: Sides,
  pair: Pair,
): Promise<readonly SecretVersion[]> {
  const [from, to] = await Promise.all([
    readVersions(session, source, sourcePace, pair.source),
    readVersions(session, target, targetPace, pair.target),
  ]);
  const copied = copiedVersions(from, to);
  if (copied === undefined) {
    throw new SecretsError('Conflict', 'has other versions, which a copied history would hide', {
      hint: 'copy without --history, or to another name',
    });
  }
  return from.slice(copied);
}

/** Every enabled version, oldest first and the current one last; empty for a secret that does not exist. */
async function readVersions(
  session: Session,
  place: Place,
  pace: Pace,
  name: string,
): Promise<readonly SecretVersion[]> {
  const history = requireMethod(
    place.provider,
    'history',
    `${place.store} keeps no versions`,
    'leave --history away',
  );
  const ids: string[] = [];
  let current: string | undefined;
  try {
    for await (const version of history(name, session.call())) {
      if (version.state !== 'enabled' || version.stages.includes('pending')) continue;
      if (version.stages.includes('current')) current = version.id;
      else ids.push(version.id);
    }
  } catch (thrown) {
    if (thrown instanceof SecretsError && thrown.kind === 'NotFound') return [];
    throw thrown;
  }
  ids.reverse();
  if (current !== undefined) ids.push(current);
  const requests = ids.map((version) => ({ name, version }));
  const results = await pace.run(() => place.provider.get(requests, session.call()));
  return results.map((result) => {
    if (!result.ok) throw result.error;
    return result.secret;
  });
}
