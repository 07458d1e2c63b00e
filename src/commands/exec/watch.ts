/** `exec --restart-on-rotate` and `--signal-on-rotate`: what they want, and how new values come to the program. */
import { constants } from 'node:os';
import { parseDuration } from '../../core/duration.ts';
import { SecretsError } from '../../core/errors.ts';
import { MIN_SECRET_BYTES } from '../../core/redaction/redactor.ts';
import { type MaskStreams, NOT_REGISTERED, registerMasks } from '../../exec/github.ts';
import type { GrowingMasks } from '../../exec/masks.ts';
import type { ChildFiles } from '../../exec/private-files.ts';
import type { SignalRelay } from '../../exec/signals.ts';
import type { Variable, Variables } from '../../exec/sources.ts';
import type { Ended, Start } from '../../exec/start.ts';
import type { Renewal, Supervision } from '../../exec/supervise.ts';
import { VersionWatch } from '../../exec/watch.ts';
import type { Session } from '../../session/session.ts';
import type { Prepared } from './prepared.ts';

export interface WatchFlags extends Pick<MaskStreams, 'maskOnStderr'> {
  readonly restartOnRotate?: boolean;
  readonly signalOnRotate?: string;
  readonly poll?: string;
  readonly debounce?: string;
  readonly stopTimeout?: string;
}

const DEFAULT_POLL_MS = 30_000;
const DEFAULT_DEBOUNCE_MS = 5_000;
const DEFAULT_STOP_MS = 10_000;
/** Services bill calls and throttle those who make many. */
const SHORTEST_POLL_MS = 1_000;

/** What is done when secrets change. */
export interface Watching extends Pick<MaskStreams, 'maskOnStderr'> {
  readonly restart: boolean;
  readonly signal: NodeJS.Signals | undefined;
  readonly pollMs: number;
  readonly debounceMs: number;
  readonly stopMs: number;
  /** @throws SecretsError Usage for a program that could never be told anything */
  check(start: Prepared): void;
}

/** @throws SecretsError Usage */
export function watchingOf(flags: WatchFlags): Watching | undefined {
  const { restartOnRotate, signalOnRotate, poll, debounce, stopTimeout, maskOnStderr } = flags;
  const restart = restartOnRotate === true;
  if (!restart && signalOnRotate === undefined) {
    if (poll === undefined && debounce === undefined && stopTimeout === undefined) return undefined;
    throw new SecretsError(
      'Usage',
      '--poll, --debounce and --stop-timeout need --restart-on-rotate or --signal-on-rotate',
      {
        hint: 'add --restart-on-rotate or --signal-on-rotate SIGNAL',
      },
    );
  }
  const signal = signalOnRotate === undefined ? undefined : signalNamed(signalOnRotate);
  const pollMs = pollOf(poll);
  return {
    maskOnStderr,
    restart,
    signal,
    pollMs,
    debounceMs: debounceOf(debounce),
    stopMs: stopTimeout === undefined ? DEFAULT_STOP_MS : parseDuration(stopTimeout),
    check: (start) => {
      if (restart || start.files.length > 0) return;
      throw new SecretsError(
        'Usage',
        '--signal-on-rotate needs a secret that is a file: the environment of a running program can’t change',
        { hint: 'give it with --file NAME=REF or as: file, or use --restart-on-rotate' },
      );
    },
  };
}

/** `--poll` in milliseconds. @throws SecretsError Usage */
export function pollOf(poll: string | undefined): number {
  const pollMs = poll === undefined ? DEFAULT_POLL_MS : parseDuration(poll);
  if (pollMs < SHORTEST_POLL_MS)
    throw new SecretsError('Usage', '--poll is shorter than a second', {
      hint: 'use at least 1s, because stores bill each call',
    });
  return pollMs;
}

/** `--debounce` in milliseconds. @throws SecretsError Usage */
export function debounceOf(debounce: string | undefined): number {
  return debounce === undefined ? DEFAULT_DEBOUNCE_MS : parseDuration(debounce);
}

function signalNamed(text: string): NodeJS.Signals {
  const upper = text.toUpperCase();
  const name = upper.startsWith('SIG') ? upper : `SIG${upper}`;
  if (Object.hasOwn(constants.signals, name) && name !== 'SIGKILL' && name !== 'SIGSTOP')
    return name as NodeJS.Signals;
  throw new SecretsError('Usage', `${JSON.stringify(text)} is not a signal that a program can handle`, {
    hint: 'such as HUP or USR1',
  });
}

/** Those whose values are masked. */
function secretsOf(variables: readonly Variable[]): readonly Variable[] {
  return variables.filter(({ secret, value }) => secret && value.length > 0);
}

export function maskable(variables: readonly Variable[]): readonly Uint8Array[] {
  return secretsOf(variables)
    .filter(({ value }) => value.length >= MIN_SECRET_BYTES)
    .map(({ value }) => value);
}

export function warnOfShort(session: Session, variables: readonly Variable[]): void {
  const short = secretsOf(variables)
    .filter(({ value }) => value.length < MIN_SECRET_BYTES)
    .map(({ name }) => name);
  if (short.length > 0) session.warn(`too short to be masked in the output: ${short.join(', ')}`);
}

/** Once for a run, however often its values change. */
const warned = new WeakSet<Session>();

/** Tells the runner of GitHub Actions, where there is one. */
export async function registerWith(
  session: Session,
  variables: readonly Variable[],
  { maskOnStderr }: Pick<MaskStreams, 'maskOnStderr'>,
): Promise<void> {
  const { world } = session;
  if (world.env['GITHUB_ACTIONS'] !== 'true') return;
  const done = await registerMasks(
    world,
    secretsOf(variables).map(({ value }) => value),
    { maskOnStderr },
  );
  if (!done && !warned.has(session)) session.warn(NOT_REGISTERED);
  warned.add(session);
}

/** How the program's values are had. */
export interface Sources {
  /** @throws SecretsError */
  readonly resolve: () => Promise<Variables>;
  /** @throws SecretsError for values that the program can't be given */
  readonly ready: (variables: Variables) => Prepared;
}

/** Keeps what the program has, and gets what it is to have. */
export class Renewing {
  readonly #session: Session;
  readonly #watching: Watching;
  readonly #sources: Sources;
  readonly #watch: VersionWatch;
  #variables: Variables;
  #start: Prepared;

  constructor(session: Session, watching: Watching, sources: Sources, variables: Variables, start: Prepared) {
    this.#session = session;
    this.#watching = watching;
    this.#sources = sources;
    this.#variables = variables;
    this.#start = start;
    this.#watch = new VersionWatch(session);
    this.#watch.follow(variables.sources, variables.listings);
  }

  supervision(
    relay: SignalRelay,
    files: ChildFiles,
    masks: GrowingMasks | undefined,
    run: (start: Start) => Promise<Ended>,
  ): Supervision {
    const session = this.#session;
    session.output.giveTerminal();
    let env = files.write(this.#start.env, this.#start.files);
    const apply = (variables: Variables, start: Prepared): void => {
      // Masked before anybody can print them.
      masks?.add(maskable(variables.list));
      env = files.write(start.env, start.files);
      [this.#variables, this.#start] = [variables, start];
    };
    return {
      ...this.#watching,
      relay,
      look: () => this.#watch.look(),
      renew: () => this.#renew(apply, masks !== undefined),
      run: () => {
        masks?.forgetStreams();
        return run({ ...this.#start, env });
      },
      abandon: () => session.run.abandonCalls(),
      warn: (message) => session.warn(message),
      debug: (message) => session.debug(message),
    };
  }

  async #renew(
    apply: (variables: Variables, start: Prepared) => void,
    masked: boolean,
  ): Promise<Renewal | undefined> {
    const session = this.#session;
    const variables = await this.#sources.resolve();
    const changed = changesOf(this.#variables, variables);
    if (changed.length === 0) {
      this.#watch.follow(variables.sources, variables.listings);
      session.debug('versions have changed, and no value that the program has');
      return undefined;
    }
    const start = this.#sources.ready(variables);
    this.#watch.follow(variables.sources, variables.listings);
    await registerWith(session, variables.list, this.#watching);
    if (masked) warnOfShort(session, variables.list);
    const { restart, signal } = this.#watching;
    const others = changed.filter(({ file }) => !file);
    const how =
      restart && (signal === undefined || others.length > 0)
        ? 'restart'
        : others.length < changed.length
          ? 'signal'
          : 'nothing';
    if (how !== 'restart' && others.length > 0)
      session.warn(
        `the environment of a running program can’t change, so it keeps the old ${others.map(({ name }) => name).join(', ')}`,
      );
    return { how, apply: () => apply(variables, start) };
  }
}

/** What is another; `file`: a file that was there and is there. */
function changesOf(
  before: Variables,
  after: Variables,
): readonly { readonly name: string; readonly file: boolean }[] {
  const old = new Map(before.list.map((variable) => [variable.name, variable]));
  const now = new Map(after.list.map((variable) => [variable.name, variable]));
  const names = new Set([...old.keys(), ...now.keys(), ...before.missing, ...after.missing]);
  return [...names].flatMap((name) => {
    const [was, is] = [old.get(name), now.get(name)];
    if (was === undefined && is === undefined) return [];
    if (
      was !== undefined &&
      is !== undefined &&
      was.as === is.as &&
      Buffer.compare(was.value, is.value) === 0
    )
      return [];
    return [{ name, file: was?.as === 'file' && is?.as === 'file' }];
  });
}
