/** Files of a report: the report itself, and the baseline. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { baselineOf, parseBaseline } from '../core/findings/gates.ts';
import type { Finding } from '../core/findings/finding.ts';
import { SecretsError } from '../core/errors.ts';
import { codeOf, fileError, removeFile, replacePrivateFile } from '../platform/files.ts';
import { jsonText } from '../core/text/sanitize.ts';

/** Writes the report for the user alone: it says which secrets are weak. */
export function writeReport(path: string, text: string): void {
  replacePrivateFile(path, Buffer.from(text), 'the report');
}

/**
 * The fingerprints of a baseline.
 * @param mayBeMissing it is about to be written
 * @throws SecretsError Usage for a file that is none or not there
 */
export function readBaseline(path: string, shown: string, mayBeMissing: boolean): ReadonlySet<string> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT') throw fileError(thrown, 'cannot read the baseline', path);
    if (mayBeMissing) return new Set();
    throw new SecretsError('Usage', `there is no baseline ${shown}`, {
      hint: 'write one with --update-baseline',
    });
  }
  return parseBaseline(text, shown);
}

/** Writes the baseline in one step. It is meant to be committed, so it is a file like any other. */
export function writeBaseline(path: string, findings: readonly Finding[]): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, `${jsonText(baselineOf(findings), 2)}\n`, { flag: 'wx' });
    renameSync(temporary, path);
  } catch (thrown) {
    removeFile(temporary);
    throw fileError(thrown, 'cannot write the baseline', path);
  }
}
