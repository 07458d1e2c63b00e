/**
 * The writer of the audit log: any number of processes append to one chain of records in one file. docs/audit-log.md
 * describes the format. This module is on the path of every `get`: it imports nothing heavy, and what is rarely needed
 * is in rare.ts.
 */
import { closeSync, fsyncSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditEvent, AuditLog, AuditMode, AuditRecord } from '../core/audit.ts';
import { Batch, type Content, hasCheckpoint, type Head } from '../core/audit-chain.ts';
import { SecretsError } from '../core/errors.ts';
import { checkFolder, fileError, makePrivateFolder } from '../files.ts';
import { type World, xdgFolder } from '../world.ts';
import { appendWhole, isAhead, namesOf, openOwn, readHead, readTail, type Tail, writeHead } from './files.ts';
import type { Unlocked } from './keys.ts';
import { type Lock, takeLock } from './lock.ts';

const DEFAULT_ROTATE_SIZE = 64 * 1024 * 1024;
/** More than what a new file begins with. */
const LEAST_ROTATE_SIZE = 4096;
const DEFAULT_WAIT_MS = 10_000;
const UNLOCK_PAUSE_MS = 60_000;
/** When a checkpoint falls among so many, `ready` wants the signing key as well. */
const RECORDS_TO_COME = 8;

/** `keychain`: its file is encrypted, with the passphrase in the OS key chain. */
export type AuditKeyMethod = 'key-file' | 'keychain';

export interface AuditLogOptions {
  /** Absolute path of the file that is written; `auditLogPath` says where it is by default. */
  readonly path: string;
  /** Where the key that signs checkpoints is kept: `xdgFolder(world, 'state')`. */
  readonly stateFolder: string;
  /** How that key is kept; default: as it is, and a new one in a plain file. */
  readonly key?: AuditKeyMethod | undefined;
  /** `required` makes each append durable (one fsync). */
  readonly mode: Exclude<AuditMode, 'off'>;
  readonly now: () => Date;
  /** A file of this many bytes is closed and a new one begun; default 64 MiB. */
  readonly rotateSize?: number | undefined;
  /** How many closed files are kept, and for how long after their last record; default: all, for ever. */
  readonly keepFiles?: number | undefined;
  readonly keepMs?: number | undefined;
  /** How long to wait for one other writer, in milliseconds; default 10 s. */
  readonly waitMs?: number | undefined;
}

/** Where the log is when no `audit.path` says otherwise. */
export function auditLogPath(world: Pick<World, 'env' | 'home'>): string {
  return join(xdgFolder(world, 'state'), 'audit', 'audit.jsonl');
}

/** The options with their defaults. */
export type LogSettings = AuditLogOptions & {
  readonly rotateSize: number;
  readonly waitMs: number;
  /** The signing key, once the key chain was asked for it. */
  readonly unlocked?: Unlocked | undefined;
};

/** Opens nothing yet: the file is opened, and made, by the first append. */
export function openAuditLog(options: AuditLogOptions): AuditLog {
  return new FileLog(options);
}

/** What came of an attempt; `rare`: it needs the module of the rare things; `locked`: the key chain has to be asked. */
type Attempt = 'written' | 'again' | 'rare' | 'locked';
/** `ready`: nothing yet, but records are to come. */
type Plan = readonly Content[] | 'checkpoint' | 'ready';
type Rare = typeof import('./rare.ts');

class FileLog implements AuditLog {
  #settings: LogSettings;
  readonly #names: ReturnType<typeof namesOf>;
  #rare: Rare | undefined;
  #refused: { readonly error: unknown; readonly until: number } | undefined;

  constructor(options: AuditLogOptions) {
    const { rotateSize = DEFAULT_ROTATE_SIZE, waitMs = DEFAULT_WAIT_MS } = options;
    this.#settings = { ...options, rotateSize: Math.max(rotateSize, LEAST_ROTATE_SIZE), waitMs };
    this.#names = namesOf(options.path);
  }

  async append(events: readonly AuditEvent[]): Promise<void> {
    if (events.length === 0) return;
    const contents = events.map((event): Content => ({ ...event, kind: 'access' }));
    await this.#write((tail) =>
      tail.mode === 'off' ? [this.#isOnAgain(contents[0] as Content), ...contents] : contents,
    );
  }

  async ready(): Promise<void> {
    await this.#write(() => 'ready');
  }

  async appendMode(mode: AuditMode, event: AuditEvent): Promise<void> {
    await this.#write((tail) => (tail.mode === mode ? [] : [{ ...event, kind: 'mode', mode }]));
  }

  async checkpoint(): Promise<AuditRecord> {
    let signed: AuditRecord | undefined;
    const noteEnd = ({ record }: Tail): AuditRecord | undefined =>
      (signed = record?.kind === 'checkpoint' ? record : undefined);
    for (;;) {
      // After the write the end is looked at again: another process may have appended meanwhile.
      await this.#write((tail) => (noteEnd(tail) === undefined ? 'checkpoint' : []));
      if (signed !== undefined) return signed;
    }
  }

  #isOnAgain(first: Content): Content {
    const { actor, host, pid, command } = first;
    return {
      time: first.time,
      origin: 'secrets',
      action: 'other',
      outcome: 'allowed',
      actor,
      host,
      pid,
      command,
      kind: 'mode',
      mode: this.#settings.mode,
    };
  }

  /** @param planAt what to append to a log with that end */
  async #write(planAt: (tail: Tail) => Plan): Promise<void> {
    const { path, waitMs } = this.#settings;
    try {
      for (;;) {
        if (!checkFolder(this.#names.folder, 'nothing')) makePrivateFolder(this.#names.folder);
        const lock = await takeLock(this.#names.lock, waitMs);
        if (!('release' in lock)) {
          throw new SecretsError('Policy', `process ${lock.pid} on ${lock.host} keeps it locked: ${path}`, {
            hint: `look what that process does; if it is not there any more, remove ${this.#names.lock}`,
          });
        }
        // Everything under the lock is synchronous, so that no other append of this process waits for itself.
        let attempt: Attempt;
        try {
          attempt = this.#attempt(planAt, lock);
        } catch (thrown) {
          if (this.#rare?.isKeyLocked(thrown) !== true) throw thrown;
          attempt = 'locked';
        } finally {
          lock.release();
        }
        if (attempt === 'written') return;
        if (attempt === 'rare') this.#rare ??= await import('./rare.ts');
        if (attempt === 'locked') await this.#unlock();
      }
    } catch (thrown) {
      throw cannotWrite(thrown, path);
    }
  }

  /** A key chain that did not answer is not waited for again by each record of a command. */
  async #unlock(): Promise<void> {
    if (this.#refused !== undefined && performance.now() < this.#refused.until) throw this.#refused.error;
    try {
      this.#settings = { ...this.#settings, unlocked: await this.#rare?.unlockKey(this.#settings) };
    } catch (thrown) {
      this.#refused = { error: thrown, until: performance.now() + UNLOCK_PAUSE_MS };
      throw thrown;
    }
  }

  #attempt(planAt: (tail: Tail) => Plan, lock: Lock): Attempt {
    const { path, mode, rotateSize } = this.#settings;
    const noted = readHead(this.#names.head);
    const fd = openOwn(path, 'append');
    try {
      const tail = fd === undefined ? undefined : readTail(fd, path);
      const { record } = tail ?? {};
      if (
        fd === undefined ||
        tail === undefined ||
        record === undefined ||
        tail.torn !== undefined ||
        tail.size >= rotateSize ||
        isAhead(noted, record)
      ) {
        if (this.#rare === undefined) return 'rare';
        if (!lock.isHeld()) return 'again';
        this.#rare.prepare(this.#settings, noted);
        return 'again';
      }
      const plan = planAt(tail);
      if (plan.length === 0) return 'written';
      const rare = this.#rare;
      if (plan === 'ready') {
        if (!hasCheckpoint(record, RECORDS_TO_COME)) return 'written';
        if (rare === undefined) return 'rare';
        rare.signingKey(this.#settings);
        return 'written';
      }
      const signs = plan === 'checkpoint' || hasCheckpoint(record, plan.length);
      if (rare === undefined && signs) return 'rare';
      const batch = new Batch(record, (head) => (rare as Rare).sealCheckpoint(this.#settings, head));
      if (plan === 'checkpoint') batch.checkpoint();
      else for (const content of plan) batch.add(content);
      batch.finish();
      if (!lock.isHeld()) return 'again';
      appendWhole(fd, tail.size, batch.text);
      if (mode === 'required' || plan === 'checkpoint') fsyncSync(fd);
      this.#note(batch.head);
      return 'written';
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  #note(head: Head): void {
    try {
      writeHead(this.#names.head, head);
    } catch {
      // The record is written. An end that is cut off later is found by a checkpoint or an anchor.
    }
  }
}

/** Any failure as one that says what could not be done: exit code 8. */
function cannotWrite(thrown: unknown, path: string): SecretsError {
  const {
    kind,
    message,
    hint = 'put right what is there, or set audit.path',
    cause,
  } = fileError(thrown, 'cannot write the audit log', path);
  if (kind === 'Policy' && message.startsWith('cannot write')) return thrown as SecretsError;
  const why = message.startsWith('cannot write') ? message : `cannot write the audit log: ${message}`;
  return new SecretsError('Policy', why, { hint, cause });
}
