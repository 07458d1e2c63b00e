/** What targets whose `verify` is the user's own look at before anything is changed. */
import { SecretsError } from '../../core/errors.ts';
import type { Credential, Known, Target, TargetFinding, Verdict } from '../target.ts';

/**
 * Whether `verify` accepts the current credential, and refuses a wrong one.
 * @param what it is called: "verify hook"
 * @param repairs whether a rotation is possible although the current credential is wrong
 * @throws what `verify` throws when the signal ends it
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
            hint: 'put the value that works with secrets put, then rotate',
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
            hint: 'make it fail for a wrong value, or say `verify: none`',
          },
    );
  return findings;
}
