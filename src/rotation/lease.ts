/**
 * Decides when a silent holder counts as dead. The clocks of other machines are never trusted: a contender watches one
 * pending version for the whole lease, measured by this machine's uptime, which setting the clock doesn't change.
 * Observations from earlier runs count, unless the machine was restarted.
 */
import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { isJsonObject, parseJson } from '../core/json.ts';
import { makePrivateFolder, readPrivateFile, replacePrivateFile } from '../platform/files.ts';

interface Seen {
  readonly pending: string;
  readonly boot: string;
  /** Seconds since the machine started, rounded up. */
  readonly uptime: number;
}

/** The id of this boot; `undefined` on systems that don't provide one. */
function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** Remembers in the state folder since when each pending version has been seen. */
export class Watch {
  readonly #path: string;
  readonly #folder: string;

  constructor(stateFolder: string) {
    this.#folder = join(stateFolder, 'rotation');
    this.#path = join(this.#folder, 'seen.json');
  }

  /** How many milliseconds, at least, this machine has seen this pending version; 0 the first time. */
  seenFor(reference: string, pendingId: string): number {
    const boot = bootId();
    if (boot === undefined) return 0;
    const all = this.#load();
    const seen = all[reference];
    const now = uptime();
    if (seen?.pending === pendingId && seen.boot === boot && seen.uptime <= now)
      return Math.floor(now - seen.uptime) * 1000;
    this.#save({ ...all, [reference]: { pending: pendingId, boot, uptime: Math.ceil(now) } });
    return 0;
  }

  forget(reference: string): void {
    const { [reference]: gone, ...others } = this.#load();
    if (gone !== undefined) this.#save(others);
  }

  #load(): Readonly<Record<string, Seen>> {
    try {
      const bytes = readPrivateFile(this.#path, 'the record of rotations seen', false);
      const parsed = bytes === undefined ? {} : parseJson(bytes);
      return isJsonObject(parsed) ? (parsed as unknown as Readonly<Record<string, Seen>>) : {};
    } catch {
      return {};
    }
  }

  #save(all: Readonly<Record<string, Seen>>): void {
    // A failed write only makes a contender wait longer.
    try {
      makePrivateFolder(this.#folder);
      replacePrivateFile(this.#path, Buffer.from(JSON.stringify(all)), 'the record of rotations seen');
    } catch {
      // For example, a read-only home folder.
    }
  }
}

/** How long a claim has been held, by clocks that nobody can set, including the time that the machine slept. */
export class ClaimAge {
  #monotonic = performance.now();
  #uptime = uptime();

  restart(): void {
    this.#monotonic = performance.now();
    this.#uptime = uptime();
  }

  ms(): number {
    return Math.max(performance.now() - this.#monotonic, (uptime() - this.#uptime - 1) * 1000);
  }
}
