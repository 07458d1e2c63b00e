/** What every target's tests need: a context, credentials, and a rotation as the engine would lead it. */
import { homedir } from 'node:os';
import * as v from 'valibot';
import type { JsonValue } from '../../../src/core/json.ts';
import type {
  Credential,
  Known,
  Rotation,
  Target,
  TargetContext,
  TargetDescriptor,
  TargetSettings,
} from '../../../src/rotation/target.ts';

export const never = new AbortController().signal;

export function credential(value: string | Readonly<Record<string, JsonValue>>): Credential {
  if (typeof value === 'string') return { value: Buffer.from(value), fields: undefined };
  return { value: Buffer.from(JSON.stringify(value)), fields: value };
}

export const text = ({ value }: Credential): string => Buffer.from(value).toString();

export const known = (current?: Credential, pending?: Credential, previous?: Credential): Known => ({
  current,
  pending,
  previous,
});

let count = 0;
export function rotation(): Rotation {
  count += 1;
  return { id: `rotation${String(count).padStart(8, '0')}`, startedAt: new Date() };
}

export interface Opened {
  readonly target: Target;
  /** Every line that it gave to `warn` and `debug`. */
  readonly lines: string[];
}

/** Opens a target as the engine does: settings checked by its schema, other secrets from `secrets`. */
export async function openTarget(
  descriptor: TargetDescriptor,
  settings: TargetSettings,
  secrets: Readonly<Record<string, Credential>> = {},
  context: Partial<TargetContext> = {},
): Promise<Opened> {
  const lines: string[] = [];
  const checked = v.parse(await descriptor.schema(), settings) as TargetSettings;
  const module = await descriptor.load();
  const target = module.open(checked, {
    reference: 'local://app/db',
    env: { PATH: process.env['PATH'] },
    home: homedir(),
    folder: process.cwd(),
    now: () => new Date(),
    warn: (line) => lines.push(line),
    debug: (line) => lines.push(line),
    read: async (reference) => {
      const found = secrets[reference];
      if (found === undefined) throw new Error(`no secret ${reference}`);
      return found;
    },
    credentialVariables: [],
    ...context,
  });
  return { target, lines };
}

/** One rotation without a store: what becomes current, after it was verified. */
export async function rotate(
  target: Target,
  current: Credential,
  draft: Credential,
  previous?: Credential,
): Promise<Credential> {
  const now = rotation();
  const pending = (await target.propose?.(draft, known(current, undefined, previous), now, never)) ?? draft;
  await target.apply(pending, known(current, pending, previous), now, never);
  const verdict = await target.verify(pending, never);
  if (verdict !== 'accepted') throw new Error(`the new credential is ${verdict}`);
  await target.retire?.(current, pending, 'superseded', never);
  return pending;
}

export interface Application {
  /** Logins that were tried, and how many of them were refused. */
  readonly logins: { tried: number; refused: number };
  /** Resolves once every client has read the secret and signed in after the call: what the grace time is for. */
  graceTime(): Promise<void>;
  stop(): Promise<void>;
}

/** A deadline that is over when the test says so. */
export function timeIsUp(): { readonly signal: AbortSignal; readonly now: () => void } {
  const deadline = new AbortController();
  return {
    signal: deadline.signal,
    now: () => deadline.abort(new DOMException('The operation timed out', 'TimeoutError')),
  };
}

/** Clients that read the current credential, keep it for some milliseconds, and sign in with it, all the time. */
export function startApplication(
  clients: number,
  accepts: (username: string, password: string) => Promise<boolean>,
  read: () => Promise<Credential>,
): Application {
  const logins = { tried: 0, refused: 0 };
  const state = { clock: 0, running: true };
  const seen = Array.from({ length: clients }, () => 0);
  const client = async (index: number): Promise<void> => {
    while (state.running) {
      const readAt = state.clock;
      const { username, password } = (await read()).fields as { username: string; password: string };
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
      logins.tried += 1;
      if (!(await accepts(username, password))) logins.refused += 1;
      seen[index] = readAt;
    }
  };
  const all = Promise.all(seen.map((_, index) => client(index)));
  // What a client failed of is told by whoever waits for it.
  all.catch(() => {});
  return {
    logins,
    graceTime: async () => {
      state.clock += 1;
      while (state.running && seen.some((readAt) => readAt < state.clock))
        await Promise.race([new Promise((resolve) => setTimeout(resolve, 10)), all]);
    },
    stop: async () => {
      state.running = false;
      await all;
    },
  };
}
