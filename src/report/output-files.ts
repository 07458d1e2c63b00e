/** The files of a report: the report itself and the baseline. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { baselineOf, parseBaseline } from '../core/findings/gates.ts';
import type { Finding } from '../core/findings/finding.ts';
import { SecretsError } from '../core/errors.ts';
import { codeOf, fileError, removeFile } from '../platform/files.ts';
import { writeOutput } from '../platform/output-file.ts';
import { jsonText } from '../core/text/sanitize.ts';

/** Writes the report with access for the user only, because it says which secrets are weak. */
export function writeReport(path: string, text: string): void {
  writeOutput(path, Buffer.from(text));
}

/**
 * Reads the fingerprints of a baseline.
 * @param mayBeMissing whether it is about to be written
 * @throws SecretsError Usage if the file is missing or isn't a baseline
 */
export function readBaseline(path: string, shown: string, mayBeMissing: boolean): ReadonlySet<string> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT') throw fileError(thrown, 'cannot read the baseline', path);
    if (mayBeMissing) return new Set();
    throw new SecretsError('Usage', `no baseline at ${shown}`, {
      hint: 'create one with --update-baseline',
    });
  }
  return parseBaseline(text, shown);
}

/** Writes the baseline atomically. It is meant to be committed, so it has normal permissions. */
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
