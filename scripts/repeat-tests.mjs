// Runs the README's second command again and again, each time in a fresh clone of HEAD with an empty HOME, none of the
// servers of `npm run backends` and a random seed; in turns as root and as an ordinary user, with and without a
// terminal, and under nohup. Ends with a table, and with 1 if any run was not green.
//
//   npm run test:repeat -- [--times 20] [--results FILE]
//
// FILE keeps each run as a line of JSON. Named again, it is gone on with up to `--times`, so that a series can be made
// in several sittings; what was made of another commit is refused (exit 2). A run that was interrupted is not kept.
// Needs root, util-linux and git.
import { execFileSync, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const source = fileURLToPath(new URL('..', import.meta.url));
/** A user without an entry in the list of users would be a case of its own: nobody has one. */
const NOBODY = 65_534;
const plain = (script) => ['sh', [script]];
const onTerminal = (script) => ['script', ['-qec', `sh ${script}`, '/dev/null']];
const detached = (script) => ['setsid', ['-w', 'nohup', 'sh', script]];
const WAYS = [
  { title: 'root, no terminal', uid: 0, command: plain },
  { title: 'user, terminal', uid: NOBODY, command: onTerminal },
  { title: 'root, nohup', uid: 0, command: detached },
  { title: 'user, no terminal', uid: NOBODY, command: plain },
  { title: 'root, terminal', uid: 0, command: onTerminal },
  { title: 'user, nohup', uid: NOBODY, command: detached },
];
const say = (line) => process.stdout.write(`${line}\n`);
const refuse = (line) => {
  process.stderr.write(`repeat-tests: ${line}\n`);
  process.exit(2);
};

/** What a file of results holds; nothing if there is none yet. */
function resultsIn(file, commit) {
  if (file === undefined || !existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  const runs = lines.filter((line) => line !== '').map((line) => JSON.parse(line));
  const other = runs.find((run) => run.commit !== commit);
  if (other !== undefined)
    refuse(`${file} is of commit ${other.commit}, and this is ${commit}: name another file, or remove it`);
  return runs;
}

/** What was started in a folder and goes on there, whatever session it is in. */
function endAllIn(folder) {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    try {
      if (`${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${folder}/`))
        process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has ended.
    }
}

/** @returns what is kept of the run; undefined if it was interrupted */
async function runOnce(run, commit, interrupted) {
  const { title, uid, command } = WAYS[run % WAYS.length];
  const seed = randomInt(2 ** 31);
  const root = mkdtempSync(join(tmpdir(), 'secrets-repeat-'));
  try {
    const [clone, home, script, log] = ['clone', 'home', 'run.sh', 'log'].map((name) => join(root, name));
    execFileSync('git', ['clone', '--quiet', source, clone]);
    execFileSync('git', ['-C', clone, 'checkout', '--quiet', '--detach', commit]);
    mkdirSync(home);
    const line = `npm ci --no-audit --no-fund && npm test -- --seed=${seed} --json --outputFile=result.json`;
    writeFileSync(script, `cd '${clone}' && ${line}\n`);
    execFileSync('chown', ['-R', `${uid}:${uid}`, root]);
    const [file, args] = command(script);
    const output = openSync(log, 'a');
    const started = Date.now();
    const child = spawn(file, args, {
      cwd: root,
      uid,
      gid: uid,
      // Nothing of whoever runs this, such as where servers are installed.
      env: { HOME: home, PATH: process.env.PATH, LANG: 'C.UTF-8', TERM: 'xterm' },
      stdio: ['ignore', output, output],
      // A session of its own, so that no terminal is at hand but the one that `script` makes.
      detached: true,
    });
    const ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? 1));
    });
    const code = await Promise.race([ended, interrupted]);
    closeSync(output);
    if (code === undefined) return undefined;
    const seconds = Math.round((Date.now() - started) / 1000);
    return { commit, way: title, seed, seconds, code, ...countsOf(join(clone, 'result.json'), log) };
  } finally {
    endAllIn(root);
    rmSync(root, { recursive: true, force: true });
  }
}

function countsOf(result, log) {
  if (!existsSync(result)) {
    const end = readFileSync(log, 'utf8').split('\n').slice(-20);
    return { passed: 0, failed: 0, skipped: 0, failing: [`no result; it ended with: ${end.join(' | ')}`] };
  }
  const report = JSON.parse(readFileSync(result, 'utf8'));
  const failing = report.testResults.flatMap(({ name, message, assertionResults }) => {
    const tests = assertionResults.filter(({ status }) => status === 'failed');
    const file = name.replace(/^.*?\/clone\//, '');
    // A file that can't be loaded fails without a test.
    if (tests.length === 0 && message !== '' && assertionResults.length === 0) return [`${file}: ${message}`];
    return tests.map(({ fullName, failureMessages = [] }) =>
      `${file}: ${fullName}: ${(failureMessages[0] ?? '').split('\n')[0]}`.trimEnd(),
    );
  });
  const { numPassedTests: passed, numFailedTests: failed, numPendingTests: skipped } = report;
  return { passed, failed, skipped, failing };
}

const isGreen = ({ code }) => code === 0;

function tableOf(runs) {
  const rows = runs.map((run, index) => [
    String(index + 1),
    run.way,
    String(run.seed),
    `${(run.seconds / 60).toFixed(1)} min`,
    isGreen(run) ? 'green' : `RED (exit ${run.code})`,
    `${run.passed} passed, ${run.failed} failed, ${run.skipped} skipped`,
  ]);
  const head = ['run', 'way', 'seed', 'time', 'result', 'tests'];
  const widths = head.map((_, at) => Math.max(...[head, ...rows].map((row) => row[at].length)));
  const lineOf = (row) => row.map((text, at) => text.padEnd(widths[at])).join('  ');
  return [head, ...rows].flatMap((row, at) => [
    lineOf(row).trimEnd(),
    ...(runs[at - 1]?.failing ?? []).map((test) => `     ${test}`),
  ]);
}

async function main() {
  const { values } = parseArgs({ options: { times: { type: 'string' }, results: { type: 'string' } } });
  const times = Number(values.times ?? 20);
  if (!Number.isSafeInteger(times) || times < 1) refuse(`--times ${values.times} is no number of runs`);
  if (process.getuid?.() !== 0) refuse('needs root, to run as root and as a user');
  const commit = execFileSync('git', ['-C', source, 'rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
  const runs = resultsIn(values.results, commit);
  if (runs.length > 0) say(`${runs.length} of ${times} runs are in ${values.results}`);
  const over = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => over.abort());
  const interrupted = new Promise((resolve) => {
    over.signal.addEventListener('abort', () => resolve());
  });
  while (runs.length < times && !over.signal.aborted) {
    const run = await runOnce(runs.length, commit, interrupted);
    if (run === undefined) break;
    runs.push(run);
    if (values.results !== undefined) appendFileSync(values.results, `${JSON.stringify(run)}\n`);
    say(`${runs.length}/${times}  ${run.way}: ${isGreen(run) ? 'green' : 'RED'}`);
  }
  for (const line of tableOf(runs)) say(line);
  say(`commit ${commit}: ${runs.filter(isGreen).length} of ${runs.length} green`);
  if (over.signal.aborted) process.exitCode = 130;
  else if (!runs.every(isGreen)) process.exitCode = 1;
}

await main();
