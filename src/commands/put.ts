import { parseDuration } from '../core/duration.ts';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { parseGenerate } from '../core/generate/kinds.ts';
import { keyText as textOfKey, withKeys } from '../core/document/secret.ts';
import type { Target } from '../session/resolver.ts';
import { tell } from '../output/outcome.ts';
import { compact, versionJson } from '../output/shapes.ts';
import { utf8 } from '../core/utf8.ts';
import type { Provider, SecretWrite } from '../providers/provider.ts';
import type { SecretVersion, VersionInfo } from '../core/secret.ts';
import type { Session } from '../session/session.ts';
import type { CommonOptions } from '../session/options.ts';
import { newValue, type ValueOptions } from './put-value.ts';
import { absenceOf, blockedBy } from '../transfer/absence.ts';
import type { Invocation } from './command.ts';
import { naming, storeTitle } from './with-secret.ts';

interface PutOptions extends CommonOptions, ValueOptions {
  readonly key?: readonly string[];
  readonly ifVersion?: string;
  readonly ifAbsent?: boolean;
  readonly label?: readonly string[];
  readonly description?: string;
  readonly expires?: string;
  readonly dryRun?: boolean;
}

/** How often a change of one key is repeated when others write at the same time. */
const MERGE_TRIES = 12;

interface Job {
  readonly session: Session;
  readonly provider: Provider;
  readonly target: Target;
  readonly conditions: Omit<SecretWrite, 'value'>;
}

export async function run(session: Session, { args, options }: Invocation<PutOptions>): Promise<void> {
  const [text, argument] = args as [string, string?];
  const target = await session.target(text);
  if (target.reference.version !== undefined || target.reference.stage !== undefined) {
    throw new SecretsError('Usage', 'a new version can’t be written to an old one', {
      reference: target.text,
      hint: 'omit ?version= and ?stage=; secrets restore --version makes an old version current',
    });
  }
  // `password=-` is the key `password`, from stdin.
  const named = argument === undefined ? undefined : /^([^=]+)=-$/.exec(argument)?.[1];
  refuseAssignments(target, named === undefined ? argument : undefined, options.key ?? []);
  const keys = keysOf(target, [...(options.key ?? []), ...(named === undefined ? [] : [named])]);
  const provider = await session.open(target.store, target.native);
  try {
    const conditions = await writeOptions(session, target, provider, options);
    provider.checkName(target.reference.name);
    const job: Job = { session, provider, target, conditions };
    if (options.dryRun === true) {
      await rehearse(job, keys, named === undefined ? argument : undefined, options);
      return;
    }
    const value = await valuesFor(job, keys, named === undefined ? argument : undefined, options);
    const written =
      value instanceof Map
        ? await putKeys(job, value)
        : await provider.put(target.reference.name, { ...conditions, value }, session.call());
    const done = `${target.text}: version ${written.id}`;
    await tell(session, {
      text: done,
      json: { reference: target.text, ...versionJson(written) },
      dryRun: false,
    });
  } catch (thrown) {
    throw naming(thrown, target.text);
  }
}

/**
 * `password=new` would replace the whole secret by that text, and `--key a=b` make a key of that name.
 * @throws SecretsError Usage, with what was meant; never with the value
 */
function refuseAssignments({ text }: Target, argument: string | undefined, keys: readonly string[]): void {
  // The end of base64 is no assignment.
  const name = /^([A-Za-z_][\w.-]*)=(?!=?$)/.exec(argument ?? '')?.[1];
  if (name !== undefined) {
    throw new SecretsError('Usage', 'this argument would be the whole value, not a key of it', {
      reference: text,
      hint: `to set a key, pipe its value in: secrets put ${text} ${name}=-; pipe in a whole value like this, too`,
    });
  }
  const wrong = keys.find((key) => key.includes('='));
  if (wrong === undefined) return;
  const key = wrong.slice(0, wrong.indexOf('='));
  throw new SecretsError('Usage', '--key takes the name of a key, without a value', {
    reference: text,
    hint: `did you mean --key ${key || 'NAME'}? Pipe the value in; a name with = goes into the reference: ${text}#NAME`,
  });
}

/** The whole value, or what each key is set to; every key gets a generated value of its own. */
async function valuesFor(
  { session, provider }: Job,
  keys: readonly string[],
  argument: string | undefined,
  options: PutOptions,
): Promise<Uint8Array | Map<string, string>> {
  const limit = provider.rules.maxValueBytes;
  const [first, ...more] = keys;
  if (first !== undefined && options.generate !== undefined) checkOneText(options.generate);
  const value = await newValue(session, argument, options, limit);
  if (first === undefined) return value;
  const changes = new Map([[first, keyText(value)]]);
  for (const key of more) {
    const own = options.generate === undefined ? value : await newValue(session, undefined, options, limit);
    changes.set(key, keyText(own));
  }
  return changes;
}

/** A key pair is a JSON object by itself: inside of a key it would be one in quotes. */
function checkOneText(text: string): void {
  const spec = parseGenerate(text);
  if (spec.kind !== 'key' || spec.only !== undefined) return;
  throw new SecretsError('Usage', `${text} has several parts, and a key of a JSON secret holds only one`, {
    hint: `write ${text},only=private-key, or store it as a secret of its own, whose keys are the parts`,
  });
}

function keyText(value: Uint8Array): string {
  const text = utf8(value);
  if (text === undefined)
    throw new SecretsError('Invalid', 'a key of a JSON secret holds text, and this is not UTF-8');
  return text;
}

/** `--dry-run`: checks all that can be checked without writing and without asking a person. */
async function rehearse(
  job: Job,
  keys: readonly string[],
  argument: string | undefined,
  options: PutOptions,
): Promise<void> {
  const { session, provider, target, conditions } = job;
  const prompts = options.fromFile === undefined && options.generate === undefined && argument === undefined;
  const asks = prompts && session.world.stdin.isTTY === true;
  const value = asks ? undefined : await valuesFor(job, keys, argument, options);
  const before = await current(job);
  if (conditions.ifAbsent === true && before !== undefined)
    throw new SecretsError('Conflict', 'already exists');
  if (conditions.ifVersion !== undefined && conditions.ifVersion !== before?.id) {
    throw new SecretsError(
      'Conflict',
      `its current version is ${before?.id ?? 'none'}, not ${conditions.ifVersion}`,
    );
  }
  const absence =
    before === undefined ? await absenceOf(provider, target.reference.name, session.call()) : undefined;
  const first = conditions.ifAbsent === true || keys.length > 0;
  const blocked = absence === undefined ? undefined : blockedBy(provider, absence, first);
  if (blocked !== undefined) throw blocked;
  if (value instanceof Map) withKeys(before, value);
  const { maxValueBytes } = provider.rules;
  if (value instanceof Uint8Array && value.length > maxValueBytes) {
    throw new SecretsError('Invalid', `the value is larger than this store allows: ${maxValueBytes} bytes`);
  }
  const action = before === undefined ? 'create' : 'update';
  const what =
    before !== undefined
      ? `would write a new version after ${before.id}`
      : absence === 'no value'
        ? 'would write its first value'
        : absence === 'deleted'
          ? 'would write a new version of the deleted secret'
          : 'would create the secret';
  const inKeys = keys.length === 0 ? '' : `, setting ${keys.join(', ')}`;
  await tell(session, {
    text: `${target.text}: ${what}${inKeys}`,
    json: compact({ reference: target.text, action, keys: keys.length === 0 ? undefined : keys }),
    dryRun: true,
  });
}

function keysOf(target: Target, more: readonly string[]): readonly string[] {
  const keys = [...new Set([...(target.reference.key === undefined ? [] : [target.reference.key]), ...more])];
  const pointer = keys.find((key) => key.startsWith('/'));
  if (pointer !== undefined) {
    throw new SecretsError('Unsupported', `put sets whole keys, not a JSON Pointer such as ${pointer}`, {
      reference: target.text,
      hint: 'write the whole secret, or a top-level key',
    });
  }
  return keys;
}

async function writeOptions(
  session: Session,
  target: Target,
  provider: Provider,
  options: PutOptions,
): Promise<Omit<SecretWrite, 'value'>> {
  const conditional = options.ifVersion !== undefined || options.ifAbsent === true;
  if (conditional && !provider.capabilities.has('cas')) {
    throw new SecretsError(
      'Unsupported',
      `${await storeTitle(session, target.store)} has no conditional write`,
      {
        hint: 'omit --if-version and --if-absent',
      },
    );
  }
  if (options.ifVersion !== undefined && options.ifAbsent === true) {
    throw new SecretsError('Usage', '--if-version and --if-absent exclude each other');
  }
  const labels = (options.label ?? []).map((label): [string, string | null] => {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(label) ?? [];
    if (name === undefined) {
      throw new SecretsError('Usage', `${JSON.stringify(label)} is not a label`, {
        hint: 'write NAME=VALUE, or NAME= to remove one',
      });
    }
    return [name, value === '' || value === undefined ? null : value];
  });
  if (labels.length > 0 && !provider.capabilities.has('labels')) {
    throw new SecretsError('Unsupported', `${await storeTitle(session, target.store)} has no labels`, {
      hint: 'omit --label',
    });
  }
  return compact({
    ifVersion: options.ifVersion,
    ifAbsent: options.ifAbsent,
    labels: labels.length > 0 ? Object.fromEntries(labels) : undefined,
    description: options.description,
    expiresAt: options.expires === undefined ? undefined : expiry(session.world.now(), options.expires),
  });
}

const DAY_MS = 86_400_000;

function expiry(now: Date, text: string): Date {
  const days = /^(\d{1,5})d$/.exec(text);
  if (days !== null) return new Date(now.getTime() + Number(days[1]) * DAY_MS);
  if (!/^\d{4}-/.test(text)) return new Date(now.getTime() + parseDuration(text));
  const date = new Date(text);
  if (!Number.isNaN(date.getTime())) return date;
  throw new SecretsError('Usage', `${JSON.stringify(text)} is not a date`, {
    hint: 'write 2027-01-31 or 90d',
  });
}

async function current({ session, provider, target }: Job): Promise<SecretVersion | undefined> {
  const [answer] = await provider.get([{ name: target.reference.name }], session.call());
  if (answer?.ok === true) return answer.secret;
  if (answer !== undefined && answer.error.kind !== 'NotFound') throw answer.error;
  return undefined;
}

/**
 * Reads, merges and writes: where the store has compare-and-set, only if nobody wrote meanwhile, and again if
 * somebody did. Elsewhere it reads back what it wrote, which finds most collisions, not all.
 */
async function putKeys(job: Job, changes: ReadonlyMap<string, string>): Promise<VersionInfo> {
  const { session, provider, target, conditions } = job;
  const { name } = target.reference;
  const keys = [...changes.keys()];
  for (let attempt = 1; ; attempt += 1) {
    const before = await current(job);
    const cas = provider.capabilities.has('cas');
    if (conditions.ifAbsent === true && before !== undefined)
      throw new SecretsError('Conflict', 'already exists');
    const guard = !cas ? {} : before === undefined ? { ifAbsent: true } : { ifVersion: before.id };
    try {
      const merged = withKeys(before, changes);
      const written = await provider.put(name, { ...guard, ...conditions, ...merged, keys }, session.call());
      if (!cas) await checkKept(job, changes);
      return written;
    } catch (thrown) {
      const error = toSecretsError(thrown);
      const conditional = conditions.ifVersion !== undefined || conditions.ifAbsent === true;
      // The store has shown only now that it has no conditional write.
      if (cas && !conditional && !provider.capabilities.has('cas')) continue;
      if (!cas || error.kind !== 'Conflict' || conditions.ifVersion !== undefined || attempt >= MERGE_TRIES) {
        throw error;
      }
      // The random wait keeps many writers from colliding in step.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * attempt));
    }
  }
}

async function checkKept(job: Job, changes: ReadonlyMap<string, string>): Promise<void> {
  const after = await current(job);
  const kept = after !== undefined && [...changes].every(([key, text]) => textOfKey(after, key) === text);
  if (!kept) {
    throw new SecretsError('Conflict', 'somebody else wrote it at the same time', {
      hint: 'read it and write again; this store has no conditional write',
    });
  }
}
