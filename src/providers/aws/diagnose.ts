/** What `doctor` checks of an AWS store. */
import { toSecretsError } from '../../core/errors.ts';
import type { Finding } from '../provider.ts';
import type { AwsService } from './service.ts';

export async function diagnose(service: AwsService, signal: AbortSignal): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const look = async (check: string, work: () => Promise<Omit<Finding, 'check'>>): Promise<boolean> => {
    try {
      findings.push({ check, ...(await work()) });
      return true;
    } catch (thrown) {
      const { kind, message, hint } = toSecretsError(thrown);
      findings.push({ check, status: 'fail', detail: message, hint });
      return kind !== 'Unauthenticated' && kind !== 'Usage';
    }
  };
  const usable = await look('credential', async () => {
    const { principal, source } = await service.identity(signal);
    return { status: 'ok', detail: `${principal} from ${source}` };
  });
  if (!usable) return findings;
  await look('service', async () => {
    await service
      .read(signal, ({ sdk, client }, http) =>
        client.send(new sdk.ListSecretsCommand({ MaxResults: 1 }), http),
      )
      .catch((thrown: unknown) => {
        // A least-privilege policy allows reading single secrets, but not listing.
        if (toSecretsError(thrown).kind !== 'Denied') throw thrown;
      });
    const { region, endpoint } = await service.endpointAndClock(signal);
    return { status: 'ok', detail: `${region} answers at ${endpoint}` };
  });
  await look('clock', async () => {
    const { clock } = await service.endpointAndClock(signal);
    // Responses carry whole seconds, and take up to a second themselves.
    if (Math.abs(clock) < 60) return { status: 'ok', detail: 'agrees with AWS’s' };
    return {
      status: 'warn',
      detail: `is ${Math.abs(clock)} s ${clock > 0 ? 'behind' : 'ahead of'} AWS’s`,
      hint: 'set it: AWS refuses requests that are more than five minutes off',
    };
  });
  return findings;
}
