/** The program that started this process. */
import { readFileSync } from 'node:fs';

/** Its name according to the system, at most 15 characters; undefined where the system doesn't say. */
export function parentProgram(): string | undefined {
  try {
    return readFileSync(`/proc/${process.ppid}/comm`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
