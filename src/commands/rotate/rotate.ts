import { parsePeriod } from '../../core/duration.ts';
import { SecretsError } from '../../core/errors.ts';
import { Rotations } from '../../rotation/jobs.ts';
import { Notifier } from '../../rotation/notify.ts';
import type { Session } from '../../session/session.ts';
import { Batch, type BatchOptions } from './batch.ts';
import { graceful } from './signals.ts';
import type { Invocation } from '../command.ts';

interface RotateOptions extends BatchOptions {
  readonly maxAge?: string;
  readonly notify?: readonly string[];
}

/** A list of references is text a person could read; more than this is something else. */
const MAX_LIST_BYTES = 1024 * 1024;

export async function run(session: Session, { args, options }: Invocation<RotateOptions>): Promise<void> {
  const named = await references(session, args);
  checkAsked(named, options);
  const maxAgeMs = options.maxAge === undefined ? undefined : parsePeriod(options.maxAge);
  const rotations = new Rotations(session);
  const notifier = new Notifier(session, options.notify ?? [], () => rotations.policies());
  const stop = graceful(session);
  try {
    const all = named.length > 0 ? named : await withPolicy(rotations, options.configure === true);
    const onlyDue = options.configure !== true && (named.length === 0 || maxAgeMs !== undefined);
    await new Batch({ session, rotations, notifier, stop, options, onlyDue, maxAgeMs }).run(all);
  } finally {
    stop.end();
    await rotations.close();
  }
}

function checkAsked(named: readonly string[], options: RotateOptions): void {
  const configure = options.configure === true;
  if (configure && (options.due === true || options.maxAge !== undefined || options.generate !== undefined))
    throw new SecretsError(
      'Usage',
      '--configure rotates nothing, so it can’t be combined with --due, --max-age or --generate',
    );
  if (named.length === 0 && options.due !== true && options.maxAge === undefined && !configure)
    throw new SecretsError('Usage', 'nothing to rotate', {
      hint: 'name references, or use --due for everything that is due',
    });
  if (options.due === true && named.length > 0)
    throw new SecretsError('Usage', '--due covers all secrets of secrets.yaml and takes no references');
}

/** The secrets that have a policy; with `nativeOnly` those whose policy is for their store's own service. */
async function withPolicy(rotations: Rotations, nativeOnly: boolean): Promise<readonly string[]> {
  return [...(await rotations.policies())]
    .filter(([, { settings }]) => !nativeOnly || settings.native !== undefined)
    .map(([reference]) => reference);
}

/** References from the command line, and for `-` from stdin: one a line, `#` at its start begins a remark. */
async function references(session: Session, args: readonly string[]): Promise<readonly string[]> {
  if (!args.includes('-')) return [...new Set(args)];
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of session.world.stdin as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_LIST_BYTES) throw new SecretsError('Usage', 'the list on stdin is longer than 1 MiB');
    chunks.push(chunk);
  }
  const listed = Buffer.concat(chunks)
    .toString()
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  return [...new Set(args.flatMap((arg) => (arg === '-' ? listed : [arg])))];
}
