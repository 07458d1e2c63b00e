/**
 * Disk space reserved for the record of a change: a file beside the log that is removed if the disk is full when the
 * change is done. Without it, a change could be made and its outcome not be recorded.
 */
import { statSync } from 'node:fs';
import { codeOf, removeFile } from '../../platform/files.ts';

/** More than the end of a closed file, the start of a new one and some records take. */
export const ROOM_BYTES = 16 * 1024;

export function hasRoom(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) >= ROOM_BYTES;
}

/** Releases the reserved space if the disk is full. @returns whether that may help */
export function useRoom(path: string, thrown: unknown): boolean {
  if (!['ENOSPC', 'EDQUOT'].includes(codeOf(thrown) ?? '') || !hasRoom(path)) return false;
  removeFile(path);
  return true;
}
