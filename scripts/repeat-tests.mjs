// Runs the README's second command again and again, each time in a fresh clone with an empty HOME and random seeds: as
// root and as an ordinary user, with and without a terminal, under nohup. Usage: repeat-tests.mjs [RUNS]  (20)
// Prints a line for each run and ends with 1 if any was not green; needs root, util-linux and git.
import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('..', import.meta.url));
const runs = Number(process.argv[2] ?? 20);
/** A user without an entry in the list of users would be a case of its own: nobody has one. */
const NOBODY = 65_534;
const LINE = 'npm ci --no-audit --no-fund && npm test -- --json --outputFile=result.json';
const plain = (script) => ['sh', [script]];
const onTerminal = (script) => ['script', ['-qec', `sh ${script}`, '/dev/null']];
const detached = (script) => ['setsid', ['-w', 'nohup', 'sh', script]];
const WAYS = [
  { title: 'root, no terminal', uid: 0, command: plain },
  { title: 'user, no terminal', uid: NOBODY, command: plain },
  { title: 'root, terminal', uid: 0, command: onTerminal },
  { title: 'user, terminal', uid: NOBODY, command: onTerminal },
  { title: 'root, nohup in a session of its own', uid: 0, command: detached },
];

if (process.getuid?.() !== 0) throw new Error('needs root, to run as root and as a user');
const say = (line) => process.stdout.write(`${line}\n`);
let red = 0;
for (let run = 0; run < runs; run += 1) {
  const { title, uid, command } = WAYS[run % WAYS.length];
  const root = mkdtempSync(join(tmpdir(), 'secrets-repeat-'));
  const [clone, home, script] = ['clone', 'home', 'run.sh'].map((name) => join(root, name));
  execFileSync('git', ['clone', '--quiet', source, clone]);
  mkdirSync(home);
  writeFileSync(script, `cd '${clone}' && ${LINE}\n`);
  execFileSync('chown', ['-R', `${uid}:${uid}`, root]);
  chownSync(root, uid, uid);
  const started = Date.now();
  const [file, args] = command(script);
  const { status } = spawnSync(file, args, {
    cwd: root,
    uid,
    gid: uid,
    env: { HOME: home, PATH: process.env.PATH, LANG: 'C.UTF-8', TERM: 'xterm' },
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 30,
  });
  const minutes = ((Date.now() - started) / 60_000).toFixed(1);
  const result = join(clone, 'result.json');
  const report = existsSync(result) ? JSON.parse(readFileSync(result, 'utf8')) : undefined;
  const counts =
    report === undefined
      ? 'no result'
      : `${report.numPassedTests} passed, ${report.numFailedTests} failed, ${report.numPendingTests} skipped`;
  const failed = (report?.testResults ?? []).flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status: how }) => how === 'failed').map(({ fullName }) => fullName),
  );
  if (status !== 0) red += 1;
  say(`${run + 1}/${runs}  ${title}: ${status === 0 ? 'green' : 'RED'}, ${minutes} min, ${counts}`);
  for (const name of failed) say(`    ${name}`);
  rmSync(root, { recursive: true, force: true });
}
say(`${runs - red} of ${runs} green`);
process.exitCode = red > 0 ? 1 : 0;
