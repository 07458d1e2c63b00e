/** The checks of `secrets doctor` for a Conjur store. */
import { toSecretsError } from '../../core/errors.ts';
import type { Finding } from '../provider.ts';
import type { ConjurClient } from './client.ts';

/** Clock difference in seconds that gets a warning: tokens and AWS signatures depend on clocks. */
const CLOCK_SLACK = 120;

export async function diagnose(
  client: ConjurClient,
  branch: string,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  let serverTime: Date | undefined;
  try {
    const { principal, source, ...more } = await client.identity(signal);
    ({ serverTime } = more);
    findings.push({
      check: 'credential',
      status: 'ok',
      detail: `${principal} from ${source} at ${await client.url()}`,
    });
  } catch (thrown) {
    const { message, hint } = toSecretsError(thrown);
    return [{ check: 'credential', status: 'fail', detail: message, hint }];
  }
  if (serverTime !== undefined) {
    const seconds = Math.round((Date.now() - serverTime.getTime()) / 1000);
    findings.push(
      Math.abs(seconds) <= CLOCK_SLACK
        ? { check: 'clock', status: 'ok', detail: 'agrees with the server’s' }
        : {
            check: 'clock',
            status: 'warn',
            detail: `${Math.abs(seconds)} s ${seconds < 0 ? 'behind' : 'ahead of'} the server’s`,
            hint: 'set this machine’s clock',
          },
    );
  }
  try {
    const [first] = await client.page({ offset: 0, limit: 1 }, signal);
    findings.push(
      first === undefined
        ? {
            check: 'variables',
            status: 'warn',
            detail: 'none that this role may see',
            hint: 'add a policy that permits read and execute on the variables it needs',
          }
        : { check: 'variables', status: 'ok', detail: 'some that this role may see' },
    );
    const creates = await client.allowed('policy', branch, 'update', signal);
    findings.push({
      check: 'policy',
      status: 'ok',
      detail: creates
        ? `may declare variables in the policy ${branch}`
        : `may not declare variables in the policy ${branch}: put writes to those that are there`,
    });
  } catch (thrown) {
    const { message, hint } = toSecretsError(thrown);
    findings.push({ check: 'variables', status: 'fail', detail: message, hint });
  }
  return findings;
}
