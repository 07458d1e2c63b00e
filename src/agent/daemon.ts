/** One life of the agent: opens its doors, says that it is ready, and ends when told to, or when nobody uses it. */
import type { JsonValue } from '../core/json.ts';
import { version } from '../core/version.ts';
import { deliverRecords } from '../session/delivery.ts';
import { agentIdentity } from '../session/agent-identity.ts';
import type { Session } from '../session/session.ts';
import type { Door, DoorContext } from './doors.ts';
import { listen } from './listen.ts';
import { OwnDoor } from './own-door.ts';
import { Serving } from './serving.ts';
import type { ServingSettings } from './serving-settings.ts';
import { notifySystemd } from './systemd.ts';

/** How often records go on to the audit sinks. */
const DELIVER_MS = 30_000;

export interface DaemonSettings extends ServingSettings {
  /** Without a request for this long it ends; undefined: never. */
  readonly idleMs: number | undefined;
}

/** Opens a door, such as Vault's protocol, beside the command line's own. */
export type DoorOpener = (context: DoorContext) => Promise<Door>;

export interface Ready {
  readonly pid: number;
  readonly socket: string;
  readonly doors: readonly { readonly name: string; readonly address: string }[];
}

/**
 * Runs the agent until it is stopped.
 * @param ready called once, when every door is open
 * @returns why it ended
 * @throws SecretsError if it can't start
 */
export async function runAgent(
  session: Session,
  settings: DaemonSettings,
  openers: readonly DoorOpener[],
  ready: (ready: Ready) => Promise<void>,
): Promise<'stopped' | 'idle'> {
  const daemon = new Daemon(session, settings);
  try {
    await daemon.start(openers);
    await ready(daemon.ready());
    await notifySystemd(session.world.env, '--ready', `--status=${daemon.doorNames()}`);
    return await daemon.ended;
  } finally {
    await daemon.stop();
  }
}

class Daemon {
  readonly #session: Session;
  readonly #settings: DaemonSettings;
  readonly #serving: Serving;
  readonly #started: Date;
  readonly #doors: Door[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #listeners: (() => void)[] = [];
  readonly ended: Promise<'stopped' | 'idle'>;
  #end: (why: 'stopped' | 'idle') => void = () => undefined;
  #idleSince = 0;
  #socket = '';
  #remove: () => void = () => undefined;

  constructor(session: Session, settings: DaemonSettings) {
    this.#session = session;
    this.#settings = settings;
    this.#serving = new Serving(session, settings);
    this.#started = session.world.now();
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  async start(openers: readonly DoorOpener[]): Promise<void> {
    const { world } = this.#session;
    this.#listenToSignals();
    const { audit } = await this.#session.config();
    const { server, path, remove } = await listen(world);
    this.#socket = path;
    this.#remove = remove;
    const context: DoorContext = {
      stores: this.#serving,
      world,
      used: () => this.#startIdling(),
      warn: (message) => this.#session.warn(message),
      debug: (message) => this.#session.debug(message),
    };
    const own = new OwnDoor({
      ...context,
      world,
      stores: this.#serving,
      server,
      address: path,
      identity: agentIdentity(world, audit),
      status: () => this.#status(),
      stop: () => this.#end('stopped'),
    });
    this.#doors.push(own);
    for (const open of openers) this.#doors.push(await open(context));
    this.#startIdling();
    this.#watchIdling();
    this.#timers.push(setInterval(() => void deliverRecords(this.#session), DELIVER_MS).unref());
  }

  /** A signal ends it as `agent stop` does: no value is lost that a store doesn't have. */
  #listenToSignals(): void {
    this.#session.releaseSignals();
    const { world } = this.#session;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      this.#listeners.push(world.onSignal(signal, () => this.#end('stopped')));
  }

  #startIdling(): void {
    this.#idleSince = Date.now();
  }

  #watchIdling(): void {
    const { idleMs } = this.#settings;
    if (idleMs === undefined) return;
    const check = (): void => {
      if (Date.now() - this.#idleSince >= idleMs) this.#end('idle');
    };
    this.#timers.push(setInterval(check, Math.min(idleMs, 1000)));
  }

  ready(): Ready {
    return {
      pid: process.pid,
      socket: this.#socket,
      doors: this.#doors.map(({ name, address }) => ({ name, address })),
    };
  }

  doorNames(): string {
    return this.#doors.map(({ name, address }) => `${name} ${address}`).join(', ');
  }

  #status(): Readonly<Record<string, JsonValue>> {
    const { values, bytes, oldestMs, hits, misses, stores } = this.#serving.status();
    const { bounds, reading, idleMs } = this.#settings;
    return {
      version,
      pid: process.pid,
      startedAt: this.#started.toISOString(),
      uptimeMs: this.#session.world.now().getTime() - this.#started.getTime(),
      idleMs: Date.now() - this.#idleSince,
      stores,
      values,
      bytes,
      ...(oldestMs !== undefined && { oldestMs }),
      hits,
      misses,
      limits: {
        ttlMs: bounds.ttlMs,
        freshMs: reading.freshMs,
        ...(idleMs !== undefined && { idleMs }),
        maxValues: bounds.maxValues,
        maxBytes: bounds.maxBytes,
      },
      doors: this.#doors.map((door) => ({ name: door.name, address: door.address, ...door.status() })),
    };
  }

  async stop(): Promise<void> {
    for (const remove of this.#listeners) remove();
    for (const timer of this.#timers) clearInterval(timer);
    // Before anything that may take time: a client can keep its connection open.
    this.#serving.clear();
    // First, so that the next start doesn't wait for an agent that no longer listens.
    this.#remove();
    await Promise.all(this.#doors.map((door) => door.stop()));
    await this.#serving.close();
  }
}
