/** Checks for targets whose `verify` the user supplies, before anything is changed. */
import { SecretsError } from '../../core/errors.ts';
import type { Credential, Known, Target, TargetFinding, Verdict } from '../target.ts';

/**
 * Checks that `verify` accepts the current credential and rejects a wrong one.
 * @param what the check's name: "verify hook"
 * @param repairs whether a rotation is possible even if the current credential is wrong
 * @throws whatever `verify` throws when the signal aborts
 */
export async function controlFindings(
  target: Pick<Target, 'verify'>,
  what: string,
  { current }: Known,
  wrong: Credential | undefined,
  repairs: boolean,
  signal: AbortSignal,
): Promise<readonly TargetFinding[]> {
  const findings: TargetFinding[] = [];
  const ask = async (
    check: string,
    credential: Credential,
    judge: (verdict: Verdict) => Omit<TargetFinding, 'check'>,
  ): Promise<void> => {
    try {
      findings.push({ check, ...judge(await target.verify(credential, signal)) });
    } catch (thrown) {
      if (signal.aborted || !(thrown instanceof SecretsError)) throw thrown;
      findings.push({ check, status: 'fail', kind: thrown.kind, detail: thrown.message, hint: thrown.hint });
    }
  };
  if (current !== undefined)
    await ask('verify with the current credential', current, (verdict) =>
      verdict === 'accepted'
        ? { status: 'ok', detail: verdict }
        : {
            status: repairs ? 'warn' : 'fail',
            kind: 'Unauthenticated',
            detail: 'refused: the stored value is wrong already',
            hint: 'store the working value with secrets put, then rotate',
          },
    );
  if (wrong !== undefined)
    await ask('verify with a wrong credential', wrong, (verdict) =>
      verdict === 'refused'
        ? { status: 'ok', detail: verdict }
        : {
            status: 'fail',
            kind: 'Unsupported',
            detail: `the ${what} accepts any value, so it proves nothing`,
            hint: 'make it fail for a wrong value, or set `verify: none`',
          },
    );
  return findings;
}
