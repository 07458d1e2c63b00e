/** Asks Google for the caller's rights on a secret, without changing anything. */
import { toSecretsError } from '../../core/errors.ts';
import type { Action, Right } from '../capabilities/rights.ts';
import { siblingOf } from './names.ts';
import type { GcpStore } from './store.ts';

const permission = (name: string): string => `secretmanager.${name}`;
const ON_SECRET: Readonly<Record<Action, readonly string[]>> = {
  stage: [],
  promote: ['secrets.get', 'secrets.update', 'versions.add', 'versions.get'].map(permission),
  discard: [],
  label: ['secrets.get', 'secrets.update'].map(permission),
};
const ON_SIBLING: Readonly<Record<Action, readonly string[]>> = {
  stage: ['secrets.get', 'secrets.update', 'versions.add', 'versions.access', 'versions.get'].map(permission),
  promote: ['secrets.delete', 'versions.access'].map(permission),
  discard: ['secrets.get', 'secrets.delete', 'versions.get'].map(permission),
  label: [],
};

/** For a missing secret the rights on the project count, and Secret Manager doesn't report them. */
const ON_PROJECT: Readonly<Record<Action, string>> = {
  stage: `making the pending one needs ${permission('secrets.create')} on the project`,
  promote: `removing the pending one needs ${permission('secrets.delete')} on it`,
  discard: `removing the pending one needs ${permission('secrets.delete')} on it`,
  label: 'not found yet',
};

export async function checkRights(
  store: GcpStore,
  id: string,
  actions: readonly Action[],
  signal: AbortSignal,
): Promise<readonly Right[]> {
  const sibling = siblingOf(id);
  const ask = async (name: string, of: typeof ON_SECRET): Promise<ReadonlySet<string> | undefined> => {
    const wanted = [...new Set(actions.flatMap((action) => of[action]))];
    if (wanted.length === 0) return new Set();
    const granted = await store.granted(name, wanted, signal);
    if (granted.size > 0) return granted;
    // A missing secret also has an empty answer.
    try {
      if ((await store.find(name, signal)) === undefined) return undefined;
      // It may exist by now: another rotation creates the pending one.
      return await store.granted(name, wanted, signal);
    } catch (thrown) {
      if (toSecretsError(thrown).kind === 'Denied') return undefined;
      throw thrown;
    }
  };
  const [main, beside] = await Promise.all([ask(id, ON_SECRET), ask(sibling, ON_SIBLING)]);
  return actions.map((action): Right => {
    const lacking = (of: typeof ON_SECRET, has: ReadonlySet<string> | undefined, name: string): string[] =>
      has === undefined ? [] : of[action].filter((one) => !has.has(one)).map((one) => `${one} on ${name}`);
    const missing = [...lacking(ON_SECRET, main, id), ...lacking(ON_SIBLING, beside, sibling)];
    if (missing.length > 0) return { action, verdict: 'denied', missing };
    const unseen =
      (main === undefined && ON_SECRET[action].length > 0) ||
      (beside === undefined && ON_SIBLING[action].length > 0);
    return unseen
      ? {
          action,
          verdict: 'unknown',
          why: `${ON_PROJECT[action]}, and Google tells only of what is there`,
        }
      : { action, verdict: 'allowed' };
  });
}
