/** The checks of `secrets doctor` for a Vault store. */
import { toSecretsError } from '../../core/errors.ts';
import type { Finding } from '../provider.ts';
import type { VaultClient } from './client.ts';
import type { Engine } from './engine.ts';
import { asMap } from './errors.ts';

/** Tolerated clock difference in seconds: JWTs and certificates are checked by the server's clock. */
const SKEW = 60;
/** A token with a shorter lifetime, in seconds, gets a warning. */
const SHORT = 300;

export async function diagnose(
  client: VaultClient,
  engine: Engine,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const look = async (check: string, work: () => Promise<Omit<Finding, 'check'>>): Promise<boolean> => {
    try {
      const found = await work();
      findings.push({ check, ...found });
      return found.status !== 'fail';
    } catch (thrown) {
      const error = toSecretsError(thrown);
      findings.push({ check, status: 'fail', detail: error.message, hint: error.hint });
      return false;
    }
  };
  const reached = await look('server', () => server(client, signal));
  if (!reached) return findings;
  await look('clock', () => clock(client, signal));
  if (!(await look('credential', () => credential(client, signal)))) return findings;
  const found = await look('engine', async () => ({
    status: 'ok',
    detail: `${engine.mount}/ is KV version ${await engine.version(signal)}`,
  }));
  if (found) await look('rights', () => rights(client, engine, signal));
  return findings;
}

async function server(client: VaultClient, signal: AbortSignal): Promise<Omit<Finding, 'check'>> {
  const { initialized, sealed, standby, version } = await client.health(signal);
  const where = `Vault ${String(version)} at ${client.address}`;
  if (initialized === false)
    return { status: 'fail', detail: `${where} is not initialised`, hint: 'an operator must initialise it' };
  if (sealed === true)
    return { status: 'fail', detail: `${where} is sealed`, hint: 'an operator must unseal it' };
  const space = client.namespace === '' ? '' : `, namespace ${client.namespace}`;
  return { status: 'ok', detail: `${where}${standby === true ? ', a standby' : ''}${space}` };
}

async function clock(client: VaultClient, signal: AbortSignal): Promise<Omit<Finding, 'check'>> {
  const theirs = Number((await client.health(signal))['server_time_utc']);
  const skew = Math.round(Date.now() / 1000 - theirs);
  if (!Number.isFinite(skew)) return { status: 'warn', detail: 'the server does not say what time it is' };
  if (Math.abs(skew) <= SKEW) return { status: 'ok', detail: 'agrees with the server’s' };
  return {
    status: 'warn',
    detail: `is ${Math.abs(skew)} s ${skew > 0 ? 'ahead of' : 'behind'} the server’s`,
    hint: 'set it by NTP: sign-in with a JWT or AWS fails when the clocks differ',
  };
}

async function credential(client: VaultClient, signal: AbortSignal): Promise<Omit<Finding, 'check'>> {
  const { principal, source, details } = await client.identity(signal);
  const { ttl, renewable, policies } = await client.token(signal);
  const detail = `${principal} from ${source}, policies ${details?.['policies'] ?? ''}, expires ${details?.['expires'] ?? ''}`;
  if (policies.includes('root'))
    return {
      status: 'warn',
      detail,
      hint: 'a root token may do everything: use one with a policy of its own (docs/vault.md)',
    };
  if (ttl > 0 && ttl < SHORT && !renewable)
    return { status: 'warn', detail, hint: 'it ends soon and can’t be renewed: sign in again' };
  return { status: 'ok', detail };
}

/** Checks the rights on a name that doesn't exist, so rights on single secrets don't show. */
async function rights(
  client: VaultClient,
  engine: Engine,
  signal: AbortSignal,
): Promise<Omit<Finding, 'check'>> {
  const second = (await engine.version(signal)) === 2;
  const value = engine.path(second ? 'data' : '', 'secrets-doctor');
  const folder = `${engine.path(second ? 'metadata' : '', '').replace(/\/$/, '')}/`;
  const body = await client.write('sys/capabilities-self', { paths: [value, folder] }, signal);
  const data = asMap(body['data'] ?? body);
  const of = (path: string): readonly string[] => (Array.isArray(data[path]) ? data[path].map(String) : []);
  const may = (path: string, right: string): boolean => of(path).includes(right) || of(path).includes('root');
  const can = [
    ...(may(folder, 'list') ? ['list'] : []),
    ...['read', 'create', 'update', 'delete'].filter((right) => may(value, right)),
  ];
  if (can.length > 0) return { status: 'ok', detail: `everywhere in ${engine.mount}/: ${can.join(', ')}` };
  return {
    status: 'warn',
    detail: `none on the whole of ${engine.mount}/`,
    hint: 'rights on single secrets don’t show here; docs/vault.md has a policy to start from',
  };
}
