import { runAgent, type DaemonSettings, type DoorOpener, type Ready } from '../../agent/daemon.ts';
import { DEFAULTS } from '../../agent/serving.ts';
import { parseDuration } from '../../core/duration.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Session } from '../../session/session.ts';
import type { Invocation } from '../command.ts';

export interface StartOptions extends CommonOptions {
  readonly detach?: boolean;
  readonly ttl?: string;
  readonly fresh?: string;
  readonly idle?: string;
  readonly maxValues?: string;
  readonly maxBytes?: string;
}

const DEFAULT_IDLE_MS = 8 * 3_600_000;

export async function run(session: Session, { options }: Invocation<StartOptions>): Promise<void> {
  const settings = settingsOf(options);
  if (options.detach === true) {
    const { startDetached } = await import('./detach.ts');
    await startDetached(session);
    return;
  }
  const why = await runAgent(session, settings, doorsOf(options), (ready) => announce(session, ready));
  if (why === 'idle') session.note('the agent has ended, because nobody has used it');
}

/** The doors that were asked for beside the command line's own. */
function doorsOf(_options: StartOptions): readonly DoorOpener[] {
  return [];
}

/** @throws SecretsError Usage */
function settingsOf({ ttl, fresh, idle, maxValues, maxBytes }: StartOptions): DaemonSettings {
  const { bounds, reading } = DEFAULTS;
  const ttlMs = ttl === undefined ? bounds.ttlMs : parseDuration(ttl);
  const freshMs = fresh === undefined ? Math.min(reading.freshMs, ttlMs) : parseDuration(fresh);
  if (freshMs > ttlMs)
    throw new SecretsError('Usage', '--fresh is longer than --ttl', {
      hint: 'a value is forgotten after --ttl, so it can’t be handed out for longer',
    });
  return {
    ...DEFAULTS,
    bounds: {
      ttlMs,
      maxValues: maxValues === undefined ? bounds.maxValues : countOf(maxValues),
      maxBytes: maxBytes === undefined ? bounds.maxBytes : sizeOf(maxBytes),
    },
    reading: { ...reading, freshMs },
    idleMs: idle === 'never' ? undefined : idle === undefined ? DEFAULT_IDLE_MS : parseDuration(idle),
  };
}

function countOf(text: string): number {
  if (/^\d{1,7}$/.test(text)) return Number(text);
  throw new SecretsError('Usage', `--max-values ${JSON.stringify(text.slice(0, 40))} is not a number`);
}

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

function sizeOf(text: string): number {
  const match = /^(\d{1,9})([KMG]?)(?:iB)?$/.exec(text);
  if (match !== null) return Number(match[1]) * (UNITS[match[2] ?? ''] as number);
  throw new SecretsError('Usage', `--max-bytes ${JSON.stringify(text.slice(0, 40))} is not a size`, {
    hint: 'use 65536, 512K, 16M or 1G',
  });
}

async function announce(session: Session, ready: Ready): Promise<void> {
  if (session.options.json === true) {
    try {
      await session.print(`${JSON.stringify(ready)}\n`);
    } catch (thrown) {
      session.debug(`nobody reads where it listens: ${toSecretsError(thrown).message}`);
    }
    return;
  }
  session.note(`the agent listens at ${ready.doors.map(({ address }) => address).join(' and ')}`);
}
