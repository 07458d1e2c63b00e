/**
 * The local journal: one JSON line before and after each step of a rotation, 0600, in the XDG state folder. For
 * people and for the audit log. Nothing is ever resumed from it: another machine has none.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { makePrivateFolder } from '../files.ts';
import type { RotationEvent } from './engine.ts';

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;

/** @param trouble told once when it can't be written */
export function journalIn(
  stateFolder: string,
  trouble: (thrown: unknown) => void,
): (reference: string, rotation: string, event: RotationEvent) => void {
  const folder = join(stateFolder, 'rotation');
  let broken = false;
  return (reference, rotation, event) => {
    if (broken) return;
    try {
      makePrivateFolder(folder);
      const file = openSync(join(folder, 'journal.jsonl'), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
      try {
        // One write of one line: other processes append to the same file.
        writeSync(file, `${JSON.stringify({ ...event, reference, rotation })}\n`);
      } finally {
        closeSync(file);
      }
    } catch (thrown) {
      broken = true;
      trouble(thrown);
    }
  };
}
