/** The chain of the audit log: canonical form, hash, number. Pure. Specified in docs/audit-log.md. */
import { hash } from 'node:crypto';
import type { AuditRecord, Checkpoint } from './record.ts';
import { isJsonObject } from '../json.ts';

/** `prev` of a log's first record. */
export const NO_HASH = '0'.repeat(64);
/** Every record whose number is a multiple of this is a checkpoint. */
export const CHECKPOINT_EVERY = 256;

/**
 * Canonical JSON (RFC 8785): members sorted by the UTF-16 units of their names, no white space, strings and numbers
 * as ECMAScript writes them. Undefined members are left out.
 * @throws TypeError for values without such a form: a number that isn't finite, a lone surrogate
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = value as Readonly<Record<string, unknown>>;
    let text = '';
    for (const name of Object.keys(members).sort()) {
      const member = members[name];
      if (member !== undefined) text += `${text === '' ? '' : ','}${scalar(name)}:${canonicalJson(member)}`;
    }
    return `{${text}}`;
  }
  return scalar(value);
}

/**
 * Node 20 has these methods; the types of ES2023 don't. They cost nothing, whereas a regular expression with \p would
 * be compiled on each start.
 */
interface Text {
  isWellFormed(): boolean;
  toWellFormed(): string;
}

const asText = (text: string): Text => text as unknown as Text;

function scalar(value: unknown): string {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError('JSON has no such number');
  if (typeof value === 'string' && !asText(value).isWellFormed())
    throw new TypeError('JSON has no lone surrogates');
  return JSON.stringify(value);
}

/** SHA-256, lower-case hex. */
export function sha256(data: string | Uint8Array): string {
  // In one call: creating an incremental hash object takes twice as long on start.
  return hash('sha256', data, 'hex');
}

/** The `hash` of a record that doesn't have one yet. */
export function hashOf(record: object): string {
  return sha256(canonicalJson({ ...record, hash: undefined }));
}

/** What the next record needs from the previous one. */
export interface Head {
  readonly seq: number;
  readonly hash: string;
}

export const START: Head = { seq: 0, hash: NO_HASH };

/** A record without its number and hashes. */
export type Content = Omit<AuditRecord, 'v' | 'seq' | 'prev' | 'hash'>;

/** A record's line without its line end, and what the next record needs from it. */
export interface Sealed {
  readonly head: Head;
  readonly line: string;
}

/** Seals the next record. */
export function seal(head: Head, content: Content): Sealed {
  const record: Readonly<Record<string, unknown>> = wellFormed({
    ...content,
    v: 1,
    seq: head.seq + 1,
    prev: head.hash,
  });
  // Both texts from the same parts: they differ by the hash alone.
  let [before, after] = ['', ''];
  for (const name of Object.keys(record).sort()) {
    const member = record[name];
    if (member === undefined) continue;
    const text = `${scalar(name)}:${canonicalJson(member)}`;
    if (name < 'hash') before += `${text},`;
    else after += `,${text}`;
  }
  const hash = sha256(`{${before}${after.slice(1)}}`);
  return { head: { seq: head.seq + 1, hash }, line: `{${before}"hash":"${hash}"${after}}` };
}

/**
 * Texts may come from anywhere: lone surrogates become the replacement character, and numbers are rounded to
 * integers.
 */
function wellFormed<T>(value: T): T {
  if (typeof value === 'string') return asText(value).toWellFormed() as T;
  if (typeof value === 'number') return (Number.isFinite(value) ? Math.round(value) : 0) as T;
  if (Array.isArray(value)) return value.map(wellFormed) as T;
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, wellFormed(member)])) as T;
  return value;
}

/** The text to sign: the whole checkpoint except its hash and the signature itself. */
export function signedText(record: Readonly<Record<string, unknown>>): string {
  const checkpoint = record['checkpoint'];
  const unsigned =
    typeof checkpoint === 'object' && checkpoint !== null
      ? { ...checkpoint, signature: undefined }
      : checkpoint;
  return `secrets-audit-checkpoint-1\n${canonicalJson({ ...record, hash: undefined, checkpoint: unsigned })}`;
}

/** What a checkpoint says, besides its signature. */
export type Statement = Pick<Checkpoint, 'removed' | 'accepted'>;

/**
 * Whether a signed checkpoint explains why a log starts with this record instead of the first. An interrupted removal
 * leaves more than it names, never less.
 */
export function explainsStart(
  { removed, accepted }: Statement = {},
  { seq, prev }: { readonly seq: number; readonly prev: string },
): boolean {
  const last = seq - 1;
  if (isJsonObject(accepted) && accepted.from === seq && accepted.hash === prev) return true;
  if (!isJsonObject(removed) || removed.from !== 1) return false;
  return last < removed.to || (last === removed.to && removed.hash === prev);
}

/** Lines for one write, including the checkpoints that are due between them. */
export class Batch {
  /** After the last line. */
  head: Head;
  text = '';
  readonly #seal: (head: Head, statement: Statement) => Sealed;

  /** @param sealCheckpoint seals the checkpoint that follows a record */
  constructor(head: Head, sealCheckpoint: (head: Head, statement: Statement) => Sealed) {
    this.head = head;
    this.#seal = sealCheckpoint;
  }

  /** @returns the record's number */
  add(content: Content): number {
    this.finish();
    this.#put(seal(this.head, content));
    return this.head.seq;
  }

  checkpoint(statement: Statement = {}): void {
    this.#put(this.#seal(this.head, statement));
  }

  /** Adds a checkpoint if the next record must be one. */
  finish(): void {
    if ((this.head.seq + 1) % CHECKPOINT_EVERY === 0) this.checkpoint();
  }

  #put({ head, line }: Sealed): void {
    this.head = head;
    this.text += `${line}\n`;
  }
}

/** Whether a checkpoint is due within the next `records` records. */
export function hasCheckpoint({ seq }: Head, records: number): boolean {
  return Math.floor((seq + records + 1) / CHECKPOINT_EVERY) > Math.floor(seq / CHECKPOINT_EVERY);
}
