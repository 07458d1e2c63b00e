/**
 * The writer of the audit log: any number of processes append to one chain of records in one file. docs/audit-log.md
 * describes the format. Every `get` loads this module, so it imports nothing heavy; what is rarely needed is in
 * maintenance.ts.
 */
import { closeSync, fsyncSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditEvent, AuditLog, AuditMode, AuditRecord } from '../../core/audit/record.ts';
import { Batch, type Content, hasCheckpoint, type Head, type Statement } from '../../core/audit/chain.ts';
import { SecretsError } from '../../core/errors.ts';
import { checkFolder, fileError, makePrivateFolder } from '../../platform/files.ts';
import { type World, xdgFolder } from '../../platform/world.ts';
import { appendWhole, isAhead, namesOf, openOwn, readHead, readTail, type Tail, writeHead } from './files.ts';
import type { AuditLogOptions, LogSettings } from './log-settings.ts';
import { type Lock, takeLock } from './lock.ts';
import { hasRoom, useRoom } from './room.ts';
import { isAt, readSecondHead, type SecondHead, secondHeadPath, writeSecondHead } from './second-head.ts';

const DEFAULT_ROTATE_SIZE = 64 * 1024 * 1024;
/** Larger than what a new file starts with. */
const LEAST_ROTATE_SIZE = 4096;
const DEFAULT_WAIT_MS = 10_000;
const UNLOCK_PAUSE_MS = 60_000;
/** If a checkpoint is due within this many records, no change is started without the signing key. */
const RECORDS_TO_COME = 8;

/** The path of the log if `audit.path` isn't set. */
export function auditLogPath(world: Pick<World, 'env' | 'home'>): string {
  return join(xdgFolder(world, 'state'), 'audit', 'audit.jsonl');
}

/** The folder of the second heads of all logs. */
export function auditHeadFolder(world: Pick<World, 'env' | 'home'>): string {
  return join(xdgFolder(world, 'data'), 'audit-heads');
}

/** Opens nothing yet: the first append opens or creates the file. */
export function openAuditLog(options: AuditLogOptions): AuditLog {
  return new FileLog(options);
}

interface End extends Pick<Tail, 'size'> {
  readonly fd: number;
  readonly record: AuditRecord;
  readonly second: SecondHead | undefined;
  readonly lock: Lock;
}

/**
 * The result of an attempt: the numbers of the added records; `maintenance`: it needs maintenance.ts; `locked`: the
 * key chain must be asked first.
 */
type Attempt = readonly number[] | 'again' | 'maintenance' | 'locked';
type Plan = readonly Content[] | { readonly checkpoint: Statement };
type Maintenance = typeof import('./maintenance.ts');

class FileLog implements AuditLog {
  #settings: LogSettings;
  readonly #names: ReturnType<typeof namesOf>;
  #maintenance: Maintenance | undefined;
  #refused: { readonly error: unknown; readonly until: number } | undefined;

  constructor(options: AuditLogOptions) {
    const { rotateSize = DEFAULT_ROTATE_SIZE, waitMs = DEFAULT_WAIT_MS } = options;
    const { path, headFolder } = options;
    const secondHead = headFolder === undefined ? undefined : secondHeadPath(headFolder, path);
    this.#settings = { ...options, rotateSize: Math.max(rotateSize, LEAST_ROTATE_SIZE), waitMs, secondHead };
    this.#names = namesOf(options.path);
  }

  async append(events: readonly AuditEvent[]): Promise<void> {
    try {
      await this.#add(events, 'access');
    } catch (thrown) {
      // If the disk is full, the outcome of a change goes into the space reserved for it.
      const isOutcome = events.some(({ intent }) => intent !== undefined);
      if (!isOutcome || !useRoom(this.#names.room, (thrown as Error).cause)) throw thrown;
      await this.#add(events, 'access');
    }
  }

  async intend(events: readonly AuditEvent[]): Promise<readonly number[]> {
    return this.#add(events, 'intent');
  }

  async #add(events: readonly AuditEvent[], kind: 'access' | 'intent'): Promise<readonly number[]> {
    if (events.length === 0) return [];
    const contents = events.map((event): Content => ({ ...event, kind }));
    const numbers = await this.#write(({ mode }) =>
      mode === 'off' ? [this.#isOnAgain(contents[0] as Content), ...contents] : contents,
    );
    return numbers.slice(-events.length);
  }

  async appendMode(mode: AuditMode, event: AuditEvent): Promise<void> {
    await this.#write((tail) => (tail.mode === mode ? [] : [{ ...event, kind: 'mode', mode }]));
  }

  async checkpoint(accepted?: Statement['accepted']): Promise<AuditRecord> {
    let signed: AuditRecord | undefined;
    for (;;) {
      // Look at the end again after the write, because another process may have appended meanwhile.
      await this.#write(({ record }) => {
        const { checkpoint } = record?.kind === 'checkpoint' ? record : {};
        const isIt =
          checkpoint !== undefined && (accepted === undefined || checkpoint.accepted !== undefined);
        signed = isIt ? record : undefined;
        return isIt ? [] : { checkpoint: accepted === undefined ? {} : { accepted } };
      });
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

  /**
   * @param planAt decides what to append, given the end of the log
   * @returns the numbers of the added records
   */
  async #write(planAt: (tail: Tail) => Plan): Promise<readonly number[]> {
    const { path } = this.#settings;
    try {
      for (;;) {
        const attempt = await this.#locked((lock) => this.#attempt(planAt, lock));
        if (typeof attempt === 'object') return attempt;
        if (attempt === 'maintenance') this.#maintenance ??= await import('./maintenance.ts');
        if (attempt === 'locked') await this.#unlock();
      }
    } catch (thrown) {
      throw cannotWrite(thrown, path);
    }
  }

  async #locked(work: (lock: Lock) => Attempt): Promise<Attempt> {
    const { path, waitMs } = this.#settings;
    if (!checkFolder(this.#names.folder, 'nothing')) makePrivateFolder(this.#names.folder);
    const lock = await takeLock(this.#names.lock, waitMs);
    if (!('release' in lock)) {
      throw new SecretsError('Policy', `process ${lock.pid} on ${lock.host} keeps it locked: ${path}`, {
        hint: `check what that process does; if it is gone, remove ${this.#names.lock}`,
      });
    }
    // Everything under the lock is synchronous, so another append of this process can't deadlock with it.
    try {
      return work(lock);
    } catch (thrown) {
      if (this.#maintenance?.isKeyLocked(thrown) !== true) throw thrown;
      return 'locked';
    } finally {
      lock.release();
    }
  }

  /** If the key chain didn't answer, don't wait for it again at each record of a command. */
  async #unlock(): Promise<void> {
    if (this.#refused !== undefined && performance.now() < this.#refused.until) throw this.#refused.error;
    try {
      this.#settings = { ...this.#settings, unlocked: await this.#maintenance?.unlockKey(this.#settings) };
    } catch (thrown) {
      this.#refused = { error: thrown, until: performance.now() + UNLOCK_PAUSE_MS };
      throw thrown;
    }
  }

  #attempt(planAt: (tail: Tail) => Plan, lock: Lock): Attempt {
    const { path, rotateSize, secondHead } = this.#settings;
    const noted = readHead(this.#names.head);
    const second = secondHead === undefined ? undefined : readSecondHead(secondHead);
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
        isAhead(noted, record) ||
        (second !== undefined && !isAt(second, record))
      ) {
        if (this.#maintenance === undefined) return 'maintenance';
        if (!lock.isHeld()) return 'again';
        if (!this.#maintenance.prepare(this.#settings, noted, second))
          this.#settings = { ...this.#settings, secondHead: undefined };
        return 'again';
      }
      return this.#append(planAt(tail), { fd, size: tail.size, record, second, lock });
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  #append(plan: Plan, { fd, size, record, second, lock }: End): Attempt {
    const statement = 'checkpoint' in plan ? plan.checkpoint : undefined;
    const contents = 'checkpoint' in plan ? [] : plan;
    if (statement === undefined && contents.length === 0) return [];
    const maintenance = this.#maintenance;
    const isIntent = contents.some(({ kind }) => kind === 'intent');
    const signs = statement !== undefined || hasCheckpoint(record, contents.length);
    // The outcome of an intended change must be recordable too.
    const willSign = isIntent && hasCheckpoint(record, contents.length + RECORDS_TO_COME);
    if (maintenance === undefined && (signs || willSign || (isIntent && !hasRoom(this.#names.room))))
      return 'maintenance';
    if (willSign) maintenance?.signingKey(this.#settings);
    if (isIntent) maintenance?.keepRoom(this.#names.room);
    const batch = new Batch(record, (head, said) =>
      (maintenance as Maintenance).sealCheckpoint(this.#settings, head, said),
    );
    if (statement !== undefined) batch.checkpoint(statement);
    const numbers = contents.map((content) => batch.add(content));
    batch.finish();
    if (!lock.isHeld()) return 'again';
    appendWhole(fd, size, batch.text);
    if (this.#settings.mode === 'required' || statement !== undefined) fsyncSync(fd);
    this.#note(batch.head, second);
    return numbers;
  }

  #note(head: Head, second: SecondHead | undefined): void {
    const { secondHead } = this.#settings;
    try {
      writeHead(this.#names.head, head);
      if (typeof second === 'object' && secondHead !== undefined)
        writeSecondHead(secondHead, second.slot, head);
    } catch {
      // The record is written. If the end is cut off later, a checkpoint or an anchor shows it.
    }
  }
}

/** Turns any failure into one that says what could not be done: exit code 8. */
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
