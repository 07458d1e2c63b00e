/**
 * Room on the disk for the record of a change that is about to be made: a file beside the log that is there to be
 * removed when the disk is full by then. Without it a change could be made and its outcome have no place.
 */
import { statSync } from 'node:fs';
import { codeOf, removeFile } from '../../platform/files.ts';

/** More than a closed file's end, a new one's beginning and some records take. */
export const ROOM_BYTES = 16 * 1024;

export function hasRoom(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) >= ROOM_BYTES;
}

/** Gives the room up where a full disk is what is wrong. @returns whether that may help */
export function useRoom(path: string, thrown: unknown): boolean {
  if (!['ENOSPC', 'EDQUOT'].includes(codeOf(thrown) ?? '') || !hasRoom(path)) return false;
  removeFile(path);
  return true;
}
