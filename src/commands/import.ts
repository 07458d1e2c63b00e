import { isAbsolute, join } from 'node:path';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import type { NewValue } from '../core/document/document.ts';
import { withKeys } from '../core/document/secret.ts';
import { changedKeys, sameValue } from '../core/transfer.ts';
import { startProgress } from '../output/progress.ts';
import { utf8 } from '../core/utf8.ts';
import type { SecretVersion } from '../core/secret.ts';
import { isWithoutValue } from '../providers/errors.ts';
import type { SecretWrite } from '../providers/provider.ts';
import type { Session } from '../session/session.ts';
import { readMany } from '../transfer/compare.ts';
import type { Dialect } from '../transfer/dotenv/dialects.ts';
import { type FileFormat, readSecrets } from '../transfer/files.ts';
import type { FoundFile, FoundSecret, FoundValue } from '../transfer/found.ts';
import { refuseUnfit, sizeError } from '../transfer/limits.ts';
import { Pace } from '../transfer/pace.ts';
import { openPlace, type Place, textOf } from '../transfer/place.ts';
import { rehearsed } from '../transfer/absence.ts';
import { report, type Step } from '../transfer/steps.ts';
import type { CommonOptions } from '../session/options.ts';
import { readInput } from './put-value.ts';
import type { Invocation } from './command.ts';

interface Options extends CommonOptions {
  readonly format?: FileFormat;
  readonly dialect?: Dialect;
  readonly dryRun?: boolean;
}

/** A file of secrets is read whole; one larger than this is something else. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;
/** How often a secret whose keys others change at the same time is tried. */
const MERGE_TRIES = 12;

/** One secret to write: its whole value, or keys beside those it has. */
type Wanted = {
  readonly name: string;
  /** The names in the file that it takes. */
  readonly names: readonly string[];
} & ({ readonly value: Uint8Array } | { readonly keys: ReadonlyMap<string, NewValue> });

export async function run(session: Session, { args, options }: Invocation<Options>): Promise<void> {
  const [file, to] = args as [string, string];
  const target = await openPlace(session, to);
  const { secrets, warnings } = await readFile(session, file, options);
  for (const warning of warnings) session.warn(warning);
  const wanted = secrets.flatMap((secret) => wantedOf(secret, target, file));
  checkNames(target, wanted);
  const progress = startProgress(session);
  try {
    const pace = new Pace({ signal: session.interrupt.signal, onSlower: () => {} });
    const dryRun = options.dryRun === true;
    const steps: Step[] = [];
    const plan = await planAll(session, target, pace, wanted);
    for (const [index, { step, one }] of plan.entries()) {
      const writes = !dryRun && (step.action === 'create' || step.action === 'update');
      steps.push(
        writes
          ? await write(session, target, pace, one, step)
          : await rehearsed(session, target, pace, step, one.name),
      );
      progress.update(`imported ${index + 1} of ${plan.length}`);
    }
    progress.done();
    await report(session, steps, dryRun);
  } finally {
    progress.done();
  }
}

async function readFile(session: Session, file: string, { format, dialect }: Options): Promise<FoundFile> {
  if (file === '-' && session.world.stdin.isTTY === true)
    throw new SecretsError('Usage', 'stdin is a terminal', { hint: 'pipe the file in' });
  const path = file === '-' ? undefined : isAbsolute(file) ? file : join(session.world.cwd, file);
  const bytes = await readInput(session, path, MAX_FILE_BYTES, 'the file is larger than 64 MiB');
  return readSecrets(bytes, file === '-' ? 'stdin' : file, { format, dialect });
}

function wantedOf(secret: FoundSecret, target: Place, file: string): readonly Wanted[] {
  if (!target.many || secret.name !== undefined) {
    const keys = new Map([...secret.keys].map(([key, value]) => [key, newValueOf(key, value, file)]));
    const name = target.many ? `${target.name}${secret.name ?? ''}` : target.name;
    return [{ name, keys, names: [...keys.keys()] }];
  }
  return [...secret.keys].map(([key, value]) => ({
    name: `${target.name}${key}`,
    names: [key],
    value: 'bytes' in value ? value.bytes : Buffer.from('text' in value ? value.text : value.json),
  }));
}

function newValueOf(key: string, value: FoundValue, file: string): NewValue {
  if ('text' in value) return value.text;
  if ('json' in value) return value;
  const text = utf8(value.bytes);
  if (text === undefined)
    throw new SecretsError('Invalid', `${file}: ${key} is not text, and a key of a JSON secret holds text`, {
      hint: 'put it into a secret of its own with secrets put --from-file',
    });
  return text;
}

function checkNames({ provider, ...place }: Place, wanted: readonly Wanted[]): void {
  const errors: SecretsError[] = [];
  const seen = new Set<string>();
  for (const { name } of wanted) {
    const reference = textOf({ provider, ...place }, name);
    try {
      provider.checkName(name);
      if (seen.has(name)) throw new SecretsError('Invalid', 'appears twice in the file');
      seen.add(name);
    } catch (thrown) {
      errors.push(toSecretsError(thrown).forReference(reference));
    }
  }
  refuseUnfit(errors);
}

interface Planned {
  readonly step: Step;
  readonly one: Wanted;
}

async function planAll(
  session: Session,
  target: Place,
  pace: Pace,
  wanted: readonly Wanted[],
): Promise<readonly Planned[]> {
  const results = await readMany(
    session,
    target,
    pace,
    wanted.map(({ name }) => name),
  );
  const unfit: (SecretsError | undefined)[] = [];
  const plan = wanted.map((one, index): Planned => {
    const reference = textOf(target, one.name);
    const common = { source: undefined, target: reference, names: one.names };
    const result = results[index];
    try {
      if (result?.ok === false && result.error.kind !== 'NotFound') throw result.error;
      const before = result?.ok === true ? result.secret : undefined;
      const { value } = valueFor(one, before);
      unfit.push(sizeError(target, one.name, value.length));
      if (before === undefined) {
        const isFirstValue = result?.ok === false && isWithoutValue(result.error);
        return { one, step: { ...common, isFirstValue, action: isFirstValue ? 'update' : 'create' } };
      }
      const action = sameValue({ value }, before) ? 'same' : 'update';
      const keys = action === 'same' ? undefined : changedKeys(before, { value });
      return { one, step: { ...common, action, keys } };
    } catch (thrown) {
      return {
        one,
        step: { ...common, action: 'failed', error: toSecretsError(thrown).forReference(reference) },
      };
    }
  });
  refuseUnfit(unfit);
  return plan;
}

/** The whole new value: keys go beside those that are there. */
function valueFor(one: Wanted, before: SecretVersion | undefined): Pick<SecretWrite, 'value' | 'soleKey'> {
  return 'value' in one ? { value: one.value } : withKeys(before, one.keys);
}

async function write(session: Session, target: Place, pace: Pace, one: Wanted, step: Step): Promise<Step> {
  const { provider } = target;
  try {
    for (let turn = 1; ; turn += 1) {
      const cas = provider.capabilities.has('cas');
      const [result] = await readMany(session, target, pace, [one.name]);
      if (result?.ok === false && result.error.kind !== 'NotFound') throw result.error;
      const before = result?.ok === true ? result.secret : undefined;
      const value = valueFor(one, before);
      const condition = before === undefined ? { ifAbsent: true } : { ifVersion: before.id };
      try {
        await pace.run(() => provider.put(one.name, { ...value, ...(cas && condition) }, session.call()));
        return step;
      } catch (thrown) {
        const error = toSecretsError(thrown);
        // The store has shown only now that it has no conditional write.
        if (cas && !provider.capabilities.has('cas')) continue;
        if (error.kind !== 'Conflict' || turn === MERGE_TRIES) throw error;
      }
    }
  } catch (thrown) {
    return { ...step, action: 'failed', error: toSecretsError(thrown).forReference(step.target) };
  }
}
