/** `secrets doctor --plugin`: runs the core of the contract against a plugin, with names of its own. */
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { Masker } from '../../core/redaction/redactor.ts';
import type { Finding } from '../provider.ts';
import { capabilityChecks } from './capability-checks.ts';
import { checks } from './checks.ts';
import { type PluginStart, startPlugin } from './index.ts';
import { type Check, CheckError, Trial } from './trial.ts';

export type { PluginStart } from './index.ts';

/** The names of all checks, in order. */
export const CHECK_NAMES: readonly string[] = [
  'handshake',
  ...[...checks, ...capabilityChecks].map(({ name }) => name),
  'ends with its input',
  'clean-up',
  'stderr',
];

/** How much of the plugin's stderr is kept in memory, to search it for values. */
const MAX_STDERR = 256 * 1024;

/**
 * Returns one finding for each check. Written secrets are deleted again, as far as the plugin can.
 * @param signal ends the run: the remaining checks fail
 */
export async function tryPlugin(
  start: PluginStart,
  signal: AbortSignal,
  debug: (message: string) => void,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const trial = new Trial(signal);
  const stderr: Buffer[] = [];
  let kept = 0;
  const watched: PluginStart = {
    ...start,
    onErrorOutput: (chunk) => {
      if (kept < MAX_STDERR) stderr.push(chunk);
      kept += chunk.length;
    },
  };
  const begin = async (): Promise<void> => {
    trial.provider = undefined;
    trial.provider = await startPlugin(watched, trial.call(), debug);
  };
  const check = checker(findings);

  const greeted = await check('handshake', async () => {
    await begin();
    const { name, version, protocol } = trial.provider.hello;
    const declared = [...trial.provider.capabilities].join(', ') || 'none';
    return `${name} ${version}, protocol ${protocol}, capabilities: ${declared}`;
  });
  if (!greeted) return findings;

  const run = async ({ name, needs, run: work }: Check): Promise<void> => {
    await check(name, async () => {
      if (signal.aborted) throw new CheckError('not tried: the time is up');
      if (needs?.every((one) => trial.provider.capabilities.has(one)) === false)
        return 'not declared, not tried';
      await work(trial);
      const { broken } = trial.provider.connection;
      if (broken !== undefined) throw new CheckError(`the plugin ${broken}`);
      return undefined;
    });
    // A plugin that one check has broken must not fail the other checks.
    if (trial.provider.connection.broken === undefined || signal.aborted) return;
    await trial.provider.close();
    await begin();
  };
  try {
    for (const each of [...checks, ...capabilityChecks]) await run(each);
    await check('ends with its input', () => endsWithInput(trial, begin));
    await check('clean-up', () => cleanUp(trial));
  } catch (thrown) {
    // The plugin can't be started a second time.
    const { message, hint } = toSecretsError(thrown);
    findings.push({ check: 'handshake', status: 'fail', detail: message, hint });
  } finally {
    await closeQuietly(trial);
  }
  await check('stderr', () => Promise.resolve(lookForValues(Buffer.concat(stderr), kept, trial)));
  return findings;
}

type CheckRunner = (name: string, work: () => Promise<string | void>) => Promise<boolean>;

/** Runs single checks, whose findings go into the list. @returns whether the check passed */
function checker(findings: Finding[]): CheckRunner {
  return async (name, work) => {
    try {
      findings.push({ check: name, status: 'ok', detail: (await work()) ?? 'as it should be' });
      return true;
    } catch (thrown) {
      const detail = thrown instanceof CheckError ? thrown.message : explain(toSecretsError(thrown));
      findings.push({
        check: name,
        status: 'fail',
        detail,
        hint: 'see docs/plugins.md for the protocol',
      });
      return false;
    }
  };
}

function explain({ kind, message }: SecretsError): string {
  return `${kind}: ${message}`;
}

async function endsWithInput(trial: Trial, begin: () => Promise<void>): Promise<void> {
  const took = await trial.provider.connection.close();
  await begin();
  if (took !== 'input') throw new CheckError('it goes on after its input ended, until a signal ends it');
}

async function cleanUp(trial: Trial): Promise<string> {
  const left: string[] = [];
  let removed = 0;
  for (const name of trial.names) {
    try {
      if (trial.provider.purge === undefined) await trial.provider.delete(name, {}, trial.call());
      else await trial.provider.purge(name, undefined, trial.call());
      removed += 1;
    } catch (thrown) {
      const { kind } = toSecretsError(thrown);
      if (kind !== 'NotFound' && kind !== 'Invalid') left.push(name);
    }
  }
  if (left.length > 0)
    throw new CheckError(`${left.length} secrets under ${trial.prefix} could not be deleted`);
  return `${removed} secrets deleted`;
}

async function closeQuietly(trial: Trial): Promise<void> {
  try {
    await trial.provider.close();
  } catch {
    // It isn't running.
  }
}

function lookForValues(stderr: Buffer, bytes: number, { values }: Trial): string {
  if (bytes === 0) return 'nothing written';
  for (const value of values) {
    // For a large value, some bytes are enough.
    if (new Masker([value.length > 1024 ? value.subarray(0, 64) : value]).finds(stderr))
      throw new CheckError('it wrote a value to stderr');
  }
  return `${bytes} bytes, no value among them`;
}
