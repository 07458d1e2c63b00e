/**
 * The second head: the number and hash of the log's last record, kept in a different folder than the log. If the
 * log's folder was restored from a copy or rewritten, its head file matches; the second head doesn't.
 */
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Head, sha256 } from '../../core/audit/chain.ts';
import { hostName } from '../../platform/machine.ts';
import { checkFolder, makePrivateFolder, replacePrivateFile } from '../../platform/files.ts';
import { headLine, openAny, openOwn, parseHeadLine, sweep } from './files.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
/** The length of `headLine`. */
const LINE = 91;
const DIGITS = 16;

/** The content of the file. `slot`: which of its two lines to write next. */
export type SecondHead = 'none' | 'damaged' | { readonly head: Head; readonly slot: 0 | 1 };

/** The path of a log's second head. @param folder absolute path */
export function secondHeadPath(folder: string, logPath: string): string {
  return join(folder, `${sha256(logPath).slice(0, DIGITS)}.head`);
}

/** Its id in checkpoints. A different machine or path has a different one. */
export function secondHeadId(path: string): string {
  return sha256(`${hostName()}\n${path}`).slice(0, DIGITS);
}

/** `damaged` includes a file that others could change. @param access verifiers use `any` */
export function readSecondHead(path: string, access: 'own' | 'any' = 'own'): SecondHead {
  let fd: number | undefined;
  try {
    fd = access === 'own' ? openOwn(path, 'read') : openAny(path);
    if (fd === undefined) return 'none';
    const text = readFileSync(fd, 'latin1');
    // A writer that dies leaves one line half written and the other intact.
    const one = parseHeadLine(text.slice(0, LINE));
    const other = parseHeadLine(text.slice(LINE));
    const isFirst = one !== undefined && (other === undefined || one.seq >= other.seq);
    const head = isFirst ? one : other;
    return head === undefined ? 'damaged' : { head, slot: isFirst ? 1 : 0 };
  } catch {
    return 'damaged';
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Whether it names exactly this record. */
export function isAt(second: SecondHead, { seq, hash }: Head): boolean {
  return typeof second === 'object' && second.head.seq === seq && second.head.hash === hash;
}

/** Notes the last record in the older of the two lines. Never synced, like the head file. @throws system errors */
export function writeSecondHead(path: string, slot: 0 | 1, head: Head): void {
  const fd = openSync(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    writeSync(fd, headLine(head), slot * LINE, 'latin1');
  } finally {
    closeSync(fd);
  }
}

/**
 * Notes the last record, whatever the file said before.
 * @returns false if no second head can be kept
 */
export function keepSecondHead(path: string, second: SecondHead, head: Head): boolean {
  try {
    // The line with the higher number counts.
    if (typeof second === 'object' && head.seq > second.head.seq) writeSecondHead(path, second.slot, head);
    else placeSecondHead(path, head);
    return isAt(readSecondHead(path), head);
  } catch {
    return false;
  }
}

/** Creates or replaces the file. @throws SecretsError */
function placeSecondHead(path: string, head: Head): void {
  const folder = dirname(path);
  if (!checkFolder(folder, 'nothing')) makePrivateFolder(folder);
  sweep(folder, (name) => name.endsWith('.head'));
  replacePrivateFile(path, Buffer.from(headLine(head), 'latin1'), 'the second head of the audit log');
}
