/** Checks whether the store allows the steps of a rotation, without changing anything. */
import type { Action, Right } from '../providers/capabilities/rights.ts';
import type { CallOptions } from '../providers/call.ts';
import type { Finding, Provider } from '../providers/provider.ts';
import { toSecretsError } from '../core/errors.ts';

const WORDS: Readonly<Record<Action, string>> = {
  stage: 'put a pending version',
  promote: 'promote it',
  discard: 'discard it',
  label: 'set labels',
};

export interface RightFinding extends Finding {
  readonly right: Right['verdict'];
}

/** @param check the findings' name */
export async function rightsOf(
  provider: Provider,
  name: string,
  check: string,
  actions: readonly Action[],
  options: CallOptions,
): Promise<readonly RightFinding[]> {
  if (provider.checkRights === undefined)
    return [
      {
        check,
        status: 'warn',
        detail: 'not known: this store can’t be asked what is allowed',
        right: 'unknown',
      },
    ];
  let rights;
  try {
    rights = await provider.checkRights(name, actions, options);
  } catch (thrown) {
    const { message, hint } = toSecretsError(thrown);
    return [{ check, status: 'warn', detail: `not known: ${message}`, hint, right: 'unknown' }];
  }
  const of = (wanted: string): typeof rights => rights.filter(({ verdict }) => verdict === wanted);
  const words = (some: typeof rights): string => some.map(({ action }) => WORDS[action]).join(', ');
  const details = (some: typeof rights): string =>
    [...new Set(some.flatMap(({ why }) => (why === undefined ? [] : [why])))].join('; ');
  const [denied, unknown, allowed] = [of('denied'), of('unknown'), of('allowed')];
  const findings: RightFinding[] = [];
  const fatal = denied.filter(({ action }) => action !== 'label');
  const minor = denied.filter(({ action }) => action === 'label');
  const missing = (some: typeof rights): string =>
    `denied: ${words(some)} (missing: ${[...new Set(some.flatMap((right) => right.missing ?? []))].join(', ')})`;
  if (fatal.length > 0) findings.push({ check, status: 'fail', detail: missing(fatal), right: 'denied' });
  if (minor.length > 0) findings.push({ check, status: 'warn', detail: missing(minor), right: 'denied' });
  if (unknown.length > 0)
    findings.push({
      check,
      status: 'warn',
      detail: `not known: ${words(unknown)} (${details(unknown)})`,
      right: 'unknown',
    });
  if (allowed.length > 0)
    findings.push({ check, status: 'ok', detail: `allowed: ${words(allowed)}`, right: 'allowed' });
  return findings;
}
