// The last line of a CI run: tests passed, failed and skipped, over all runs of jest.
// Usage: totals.mjs FAILED_STAGES REPORT...   (reports of `jest --json --outputFile`)
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

const [stages = '0', ...reports] = process.argv.slice(2);
/** The first lines of an error, without colours. */
const shortly = (message = '') =>
  stripVTControlCharacters(message).split('\n').filter(Boolean).slice(0, 12).join('\n    ');
const totals = { passed: 0, failed: 0, skipped: 0 };
/** Stages whose failure is told by tests that failed in them. */
let explained = 0;
for (const file of reports) {
  try {
    const report = JSON.parse(readFileSync(file, 'utf8'));
    totals.passed += report.numPassedTests;
    totals.skipped += report.numPendingTests;
    // A file that can't even be loaded has no tests to count.
    const failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
    totals.failed += failed;
    if (failed > 0) explained += 1;
    // Once more at the end: the place where they were first told may be far above.
    for (const { name, message, assertionResults } of report.testResults) {
      const tests = assertionResults.filter(({ status }) => status === 'failed');
      for (const { fullName, failureMessages } of tests)
        process.stdout.write(
          `failed: ${relative('.', name)}: ${fullName}\n    ${shortly(failureMessages[0])}\n`,
        );
      // A file that could not be loaded has no tests.
      if (message && assertionResults.length === 0)
        process.stdout.write(`failed: ${relative('.', name)}\n    ${shortly(message)}\n`);
    }
  } catch {
    // A run that left no report did not happen.
    totals.failed += 1;
    process.stdout.write(`${file} is missing or no report\n`);
  }
}
// What is left over counts once for each stage that failed for another reason.
totals.failed += Math.max(0, Number(stages) - explained);
process.stdout.write(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped\n`);
process.exitCode = totals.failed > 0 || Number(stages) > 0 ? 1 : 0;
