/**
 * The end of a test run: what was skipped and how to have it run, and with SECRETS_TEST_TIMES=N the N slowest files.
 * Reads the suffix that tests/needs.ts gives to the titles of skipped tests.
 */
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import Table from 'cli-table3';

const NEED = /\[needs ([^\]:]+): ([^\]]+)\]/;

export default class Reporter {
  #root;
  /** With -t most tests are skipped because nobody asked for them. */
  #filtered;

  constructor({ rootDir, testNamePattern }) {
    this.#root = rootDir;
    this.#filtered = Boolean(testNamePattern);
  }

  onRunComplete(_contexts, { testResults }) {
    const skipped = skippedIn(
      testResults.map((file) => this.#named(file)),
      this.#filtered,
    );
    if (skipped.length > 0) process.stderr.write(`\n${tableOf(skipped)}\n`);
    const wanted = Number(process.env.SECRETS_TEST_TIMES ?? 0);
    if (wanted > 0)
      process.stderr.write(
        `\n${timesOf(
          testResults.map((file) => this.#named(file)),
          wanted,
        )}\n`,
      );
    const file = process.env.SECRETS_TEST_SKIPPED;
    if (file !== undefined) writeFileSync(file, `${JSON.stringify(skipped)}\n`);
  }

  #named({ testFilePath, testResults, perfStats }) {
    return { file: relative(this.#root, testFilePath), testResults, ms: perfStats.runtime };
  }
}

/** @returns one entry for each thing that was missing, most tests first */
function skippedIn(files, filtered) {
  const found = new Map();
  for (const { file, testResults } of files)
    for (const { status, fullName } of testResults) {
      if (status !== 'pending' && status !== 'todo') continue;
      if (filtered && !NEED.test(fullName)) continue;
      const [, need = 'unnamed: give it a need of tests/needs.ts', how = '-'] = NEED.exec(fullName) ?? [];
      const key = `${need}: ${how}`;
      const entry = found.get(key) ?? { need, how, tests: 0, files: [] };
      entry.tests += 1;
      if (!entry.files.includes(file)) entry.files.push(file);
      found.set(key, entry);
    }
  return [...found.values()].toSorted((a, b) => b.tests - a.tests);
}

function plainTable(head) {
  const bare = {
    ...Object.fromEntries(['top', 'top-mid', 'top-left', 'top-right'].map((name) => [name, ''])),
    ...Object.fromEntries(['bottom', 'bottom-mid', 'bottom-left', 'bottom-right'].map((name) => [name, ''])),
    ...Object.fromEntries(
      ['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'].map((name) => [name, '']),
    ),
    middle: '  ',
  };
  return new Table({
    head,
    chars: bare,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
}

function tableOf(skipped) {
  const table = plainTable(['skipped', 'needs', 'to run them']);
  for (const { tests, need, how } of skipped) table.push([String(tests), need, how]);
  return table.toString();
}

function timesOf(files, wanted) {
  const table = plainTable(['seconds', 'slowest files']);
  for (const { ms, file } of files.toSorted((a, b) => b.ms - a.ms).slice(0, wanted))
    table.push([(ms / 1000).toFixed(1), file]);
  return table.toString();
}
