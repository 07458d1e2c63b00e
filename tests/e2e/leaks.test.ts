/**
 * Runs every command with a canary value and looks for it in the arguments, environment and name of every process,
 * in stdout and stderr where it does not belong, and in the files that are left behind.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { commands } from '../../src/commands/index.ts';
import { type Started, traceExec } from './exec-trace.ts';
import { accessesIn, logOf } from '../audit/program.ts';
import { ACCESS, findFiles, formsOf, hashesOf, holds, watchProcesses } from './leak-watch.ts';
import { makePlace, type Outcome, type Place } from './program.ts';
import { mayTrace, testNeeding } from '../needs.ts';
import { sampled, sized } from '../size.ts';

/** Of this run alone: another one on the same machine has processes of its own with a canary in them. */
const CANARY = `c4n4ry-Zq8/Lw2+${randomBytes(4).toString('hex')}`;
const FORMS = formsOf(CANARY);
/** What the audit log, and what goes on from it, must not hold either. */
const IMAGES = [...FORMS, ...hashesOf(CANARY)];
/** Marks the program that exec starts: its environment is where the canary belongs. */
const CHILD = 'sleep 0.31';

/** Puts another value, with the canary in it, as soon as the program of the next command says that it runs. */
const CHANGING = '{ until [ -e runs ]; do sleep 0.05; done; (cat "$IN"; echo more) | secrets put a; } &';
const FAST = '--redact --poll 1s --debounce 100ms';
const WAITING = 'while :; do sleep 0.31; done';
/** Not where exec has its files, which are looked for. */
const AGENT = 'unset XDG_RUNTIME_DIR; secrets agent start -d --idle 1m; ';

interface Run {
  /** Commands and verbs that this line covers. */
  readonly covers: string;
  /** What bash runs; $IN is a file that holds the canary. */
  readonly line: string;
  /** Streams and files in which the canary belongs. */
  readonly shows?: 'stdout';
  readonly file?: string;
  /** Exit code, 0 when not given. */
  readonly exit?: number;
}

const RUNS: readonly Run[] = [
  { covers: 'put', line: 'secrets put a < "$IN"' },
  { covers: 'put', line: 'secrets put a --from-file "$IN" --dry-run' },
  { covers: 'put', line: 'secrets put a --from-file "$IN" --label team=web --description words --json' },
  { covers: 'put', line: 'secrets put j#key < "$IN"' },
  { covers: 'put', line: 'secrets put j other=- < "$IN"' },
  { covers: 'get', line: 'secrets get a', shows: 'stdout' },
  { covers: 'get', line: 'secrets get j#key', shows: 'stdout' },
  { covers: 'get', line: 'secrets get a --json', shows: 'stdout' },
  { covers: 'get', line: 'secrets get a --metadata' },
  { covers: 'get', line: 'secrets get a --out out', file: 'out' },
  { covers: 'list', line: 'SECRETS_COMPLETION_CACHE=1 secrets list' },
  { covers: 'list', line: 'secrets list --long' },
  { covers: 'history', line: 'secrets history a --json' },
  { covers: 'exec', line: `secrets exec -e A=a -- ${CHILD}` },
  { covers: 'exec', line: `secrets exec --file A=a -- ${CHILD}` },
  { covers: 'exec', line: `secrets exec --redact -e A=a -- ${CHILD}` },
  {
    covers: 'exec',
    line: `secrets exec --redact -e A=a -- sh -c 'echo "$A"; echo "$A" >&2; printf %s "$A" | base64'`,
  },
  // The secret changes while the program runs, which then is started anew, or reads a file of its anew.
  {
    covers: 'exec',
    line: `${CHANGING} secrets exec --restart-on-rotate ${FAST} -e A=a -- sh -c 'echo "$A"; [ -e runs ] && exit; : > runs; ${WAITING}'; wait; rm runs; secrets put a < "$IN"`,
  },
  {
    covers: 'exec',
    line: `${CHANGING} secrets exec --signal-on-rotate HUP ${FAST} --file A=a -- sh -c 'echo "$A"; trap "cat \\"\\$A\\"; exit" HUP; : > runs; ${WAITING}'; wait; rm runs; secrets put a < "$IN"`,
  },
  { covers: 'env', line: 'secrets env -e A=a --format shell', shows: 'stdout' },
  { covers: 'reference', line: 'secrets reference j#key --for external-secrets --check', exit: 2 },
  { covers: 'inject', line: "printf '{{ a }}' > t; secrets inject -i t -o out.txt", file: 'out.txt' },
  { covers: 'inject', line: "printf '{{ a }}' | secrets inject", shows: 'stdout' },
  { covers: 'inject', line: "printf '{{ a }} {{ nope }}' | secrets inject -o out.txt", exit: 3 },
  { covers: 'inject', line: 'printf \'{"a": {{ a | number }}}\' | secrets inject --format json', exit: 2 },
  { covers: 'copy', line: 'secrets copy local://a local://copied/a --dry-run' },
  { covers: 'copy', line: 'secrets copy local://a local://copied/a' },
  { covers: 'diff', line: 'secrets diff local://a local://j' },
  { covers: 'sync', line: 'secrets sync local://copied/ local://synced/ --yes' },
  {
    covers: 'import',
    line: 'printf "A=%s\\n" "$(cat "$IN")" > ../in.env; secrets import ../in.env local://imported/',
  },
  // The value is the one that is replaced, and then the one that comes back.
  {
    covers: 'rotate',
    line: 'secrets put rotated < "$IN"; secrets rotate rotated --generate alnum:24 --json',
  },
  {
    covers: 'rotate',
    line: 'secrets put rotated < "$IN"; secrets rotate rotated --generate alnum:24 --json --notify cat --notify http://127.0.0.1:1/',
  },
  { covers: 'rotate status', line: 'secrets rotate status --json' },
  { covers: 'rotate resume', line: 'secrets rotate resume rotated --without-target' },
  { covers: 'rotate cancel', line: 'secrets rotate cancel a --trust', exit: 2 },
  { covers: 'rotate rollback', line: 'secrets rotate rollback rotated --to-previous --without-target' },
  { covers: 'delete', line: 'secrets delete a --dry-run' },
  { covers: 'delete', line: 'secrets delete a' },
  { covers: 'restore', line: 'secrets restore a' },
  { covers: 'restore', line: 'secrets restore a --version 1' },
  { covers: 'stores', line: 'secrets stores --check' },
  { covers: 'stores rekey', line: 'secrets stores rekey' },
  ...ACCESS,
  { covers: 'doctor', line: 'secrets doctor' },
  { covers: 'generate', line: 'secrets generate' },
  { covers: 'completion', line: 'secrets completion bash' },
  { covers: 'init', line: 'secrets init --dry-run' },
  { covers: 'trust', line: 'secrets trust', exit: 3 },
  { covers: 'audit', line: 'secrets audit --help' },
  { covers: 'terraform', line: 'secrets terraform --help' },
  { covers: 'terraform install', line: 'secrets terraform install' },
  // With OpenTofu: tests/terraform.
  { covers: 'terraform serve', line: 'secrets terraform serve', exit: 2 },
  {
    covers: 'audit report',
    line: 'secrets copy local://a local://same --quiet; secrets audit report --values',
  },
  { covers: 'audit report', line: 'secrets audit report --values --json' },
  { covers: 'audit report', line: 'secrets audit report --values --format sarif' },
  { covers: 'audit report', line: 'secrets audit report --values --format markdown --out report.md' },
  {
    covers: 'audit report',
    line: 'secrets audit report --values --fail-on info --baseline base.json --update-baseline',
  },
  { covers: 'audit log', line: 'secrets audit log --json' },
  { covers: 'audit trail', line: 'secrets audit trail local --json' },
  { covers: 'audit verify', line: 'secrets audit verify --json' },
  { covers: 'audit anchor', line: 'secrets audit anchor --json' },
  { covers: 'audit sinks', line: 'secrets audit sinks --json' },
  // A receiver that is not there, and a key that signs; what is kept for it is searched.
  {
    covers: 'audit send',
    line: 'echo "audit: { sinks: { s: { type: webhook, url: \\"http://127.0.0.1:9/\\", secret: \\"local://a\\" } } }" > ../sinks.yaml; secrets get j#key --config ../sinks.yaml --trust > /dev/null; secrets audit send --config ../sinks.yaml --trust',
    exit: 6,
  },
  // A reason, a log that somebody died over, and one that is the very first.
  { covers: 'get', line: 'secrets get j#key --reason "ticket 42"', shows: 'stdout' },
  {
    covers: 'get',
    line: 'printf "{" >> "$HOME/.local/state/secrets/audit/audit.jsonl"; secrets get j#key',
    shows: 'stdout',
  },
  {
    covers: 'get',
    line: 'rm -rf "$HOME/.local/state/secrets"; secrets get a j#key',
    shows: 'stdout',
  },
  // Failures, each of which has the value in its hands.
  { covers: 'get', line: 'secrets get a#key', exit: 2 },
  { covers: 'get', line: 'secrets get j#nope', exit: 3 },
  { covers: 'get', line: 'secrets get j#/key/x', exit: 3 },
  { covers: 'put', line: 'secrets put a#key < "$IN"', exit: 2 },
  { covers: 'put', line: 'secrets put a --if-absent < "$IN"', exit: 5 },
  { covers: 'put', line: 'secrets put a --if-version 99 < "$IN"', exit: 5 },
  { covers: 'put', line: '{ cat "$IN"; cat /dev/zero; } | secrets put a', exit: 2 },
  { covers: 'get', line: 'secrets get a --out no/such/folder', exit: 1 },
  { covers: 'get', line: 'secrets get a > /dev/full', exit: 1 },
  { covers: 'exec', line: 'secrets exec -e A=a -e B=nope -- true', exit: 125 },
  { covers: 'exec', line: 'secrets exec -e A=a -- no-such-program', exit: 127 },
  { covers: 'exec', line: 'secrets exec --from a -- true', exit: 125 },
  { covers: 'env', line: '(cat "$IN"; printf "\\0") | secrets put nul; secrets env -e A=nul', exit: 2 },
  { covers: 'agent start', line: `${AGENT}secrets agent stop` },
  { covers: 'agent status', line: `${AGENT}secrets agent status; secrets agent stop` },
  { covers: 'agent clear', line: `${AGENT}secrets agent clear && secrets agent stop` },
  { covers: 'agent stop', line: 'secrets agent stop', exit: 3 },
  { covers: 'agent run', line: 'secrets agent run -- true' },
  { covers: 'agent', line: 'secrets agent', exit: 2 },
  { covers: 'purge', line: 'secrets purge a', exit: 2 },
  { covers: 'purge', line: 'secrets purge a --yes' },
];

/** Commands that are only there when their part of the program is. */
const known = new Set(
  commands.flatMap(({ name, subcommands = [] }) => [
    name,
    ...subcommands.map((sub) => `${name} ${sub.name}`),
  ]),
);
const runs = RUNS.filter(({ covers }) => known.has(covers));

/** The programs that exec starts above, and theirs; `env` is what exec resets signals with on its way to them. */
const expected = (command: string): boolean =>
  command === CHILD ||
  /^env --default-signal=\S+ -- sleep 0\.31$/.test(command) ||
  command === 'base64' ||
  command.startsWith('sh -c echo "$A"');

async function makePlaceWithCanary(): Promise<Place> {
  const place = await makePlace();
  await writeFile(join(place.root, 'canary'), CANARY, { mode: 0o600 });
  await mkdir(join(place.root, 'run'), { mode: 0o700 });
  return place;
}

/** Where the audit log is, with its side files, what a repair left, and queues. */
function stateOf(place: Place): string {
  return join(place.home, '.local/state/secrets');
}

/** @param trace also lists every program that is started, however short it lives */
async function watch(place: Place, line: string, { env = {}, trace = false } = {}) {
  let started: readonly Started[] = [];
  const all = { IN: join(place.root, 'canary'), XDG_RUNTIME_DIR: join(place.root, 'run'), ...env };
  const work = async (): Promise<Outcome> => {
    if (!trace) return place.sh(line, all);
    const traced = await traceExec(place, line, all);
    started = traced.started;
    return traced.result;
  };
  const { result, sightings } = await watchProcesses(work, FORMS, expected);
  return { result, sightings, started };
}

// Of what is traced every start is looked at as well. A small run has all with --debug alone, which says more.
const WAYS: readonly { readonly title: string; readonly debug: boolean; readonly traced: readonly Run[] }[] =
  sized(
    [{ title: ' with --debug', debug: true, traced: sampled(runs, 5) }],
    [
      { title: ' with --debug', debug: true, traced: [] },
      { title: '', debug: false, traced: runs },
    ],
  );

describe.each(WAYS)('no command$title leaks a value', ({ title, debug, traced }) => {
  let place: Place;
  /** Of each line that was traced, what it started. */
  const starts = new Map<string, readonly Started[]>();
  beforeAll(async () => {
    place = await makePlaceWithCanary();
    await place.sh('printf first | secrets put a');
  });
  afterAll(() => place.remove());

  // In this order: later lines use what earlier ones wrote.
  test.each(runs)(`$line${title}`, async (run) => {
    const { shows, file, exit = 0 } = run;
    const line = debug ? run.line.replaceAll(/secrets (?=[a-z])/g, 'secrets --debug ') : run.line;
    const trace = mayTrace().met && traced.includes(run);
    const { result, sightings, started } = await watch(place, line, { trace });
    if (trace) starts.set(run.line, started);
    const stderr = expect.any(String) as string;
    expect(result).toEqual({ code: exit, stderr, stdout: expect.any(String) as string });
    expect(sightings).toEqual([]);
    expect(holds(result.stderr, FORMS)).toBe(false);
    expect(holds(result.stdout, FORMS)).toBe(shows === 'stdout');
    const allowed = file === undefined ? [] : [join(place.cwd, file)];
    expect(findFiles([place.home, place.tmp, place.cwd], FORMS, allowed)).toEqual([]);
    expect(findFiles([stateOf(place)], IMAGES)).toEqual([]);
    if (file !== undefined) await place.sh(`rm ${file}`);
    // Where exec has its private files.
    expect(readdirSync(join(place.root, 'run'))).toEqual([]);
    expect(readdirSync(place.tmp)).toEqual([]);
  });

  test('all registered commands were run', () => {
    expect(new Set(runs.map(({ covers }) => covers))).toEqual(known);
  });

  test('and they left records, in what was searched', () => {
    expect(accessesIn(logOf(place)).length).toBeGreaterThan(10);
  });

  if (traced.length === 0) return;
  testNeeding(mayTrace())('no program that one starts, however short it lives, is given a value', () => {
    for (const { line } of traced) {
      const started = starts.get(line) ?? [];
      const given = started.filter(({ environment }) => holds(environment, FORMS));
      expect({
        line,
        known: started.some(({ command }) => command.includes('secrets')),
        args: started.filter(({ args }) => holds(args, FORMS)),
        given: given.map(({ command }) => command).filter((command) => !expected(command)),
      }).toEqual({ line, known: true, args: [], given: [] });
    }
  });
});

testNeeding(mayTrace())('a program that is started with a value would be found by its start', async () => {
  const place = await makePlaceWithCanary();
  const leak = 'A=$(secrets get a) true; sh -c : "$(secrets get a)"; A=$(secrets get a) printenv HOME';
  await place.sh('secrets put a < ../canary');
  const { started } = await traceExec(place, leak, {});
  expect(started.filter(({ args }) => holds(args, FORMS)).map(({ command }) => command)).toEqual([
    `sh -c : ${CANARY}`,
  ]);
  expect(
    started.filter(({ environment }) => holds(environment, FORMS)).map(({ command }) => command),
  ).toEqual(['printenv HOME']);
  await place.remove();
});

describe('a store that answers with the value in its error', () => {
  let place: Place;
  let server: Server;
  beforeAll(async () => {
    place = await makePlaceWithCanary();
    server = createServer((request, response) => {
      // What was sent, straight back in the text of an error.
      const body: Buffer[] = [];
      request.on('data', (chunk: Buffer) => body.push(chunk));
      request.on('end', () =>
        response.writeHead(400).end(JSON.stringify({ errors: [Buffer.concat(body).toString()] })),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    server.close();
    await place.remove();
  });

  test('does not get it into ours, and neither does one that is not there', async () => {
    const { port } = server.address() as AddressInfo;
    for (const address of [`http://127.0.0.1:${port}`, 'http://127.0.0.1:1']) {
      const env = { VAULT_ADDR: address, VAULT_TOKEN: 'hvs.not-the-canary' };
      const { result, sightings } = await watch(place, 'secrets --debug put vault://a --timeout 2s < "$IN"', {
        env,
      });
      expect(result.code).not.toBe(0);
      expect(sightings).toEqual([]);
      expect(holds(result.stdout + result.stderr, FORMS)).toBe(false);
    }
  });
});

describe('the watch itself finds', () => {
  let place: Place;
  beforeEach(async () => {
    place = await makePlaceWithCanary();
    await place.sh('secrets put --quiet a < ../canary');
  });
  afterEach(() => place.remove());

  /** A `secrets` that leaks before it does its work. */
  const plant = async (leak: string): Promise<void> => {
    const launcher = join(place.root, 'bin/secrets');
    await place.sh(`mv ${launcher} ${launcher}-real`);
    await writeFile(launcher, `#!/bin/bash\n${leak}\nexec secrets-real "$@"\n`);
    await chmod(launcher, 0o755);
  };
  const leaky = async (leak: string): Promise<{ result: Outcome; where: string[] }> => {
    await plant(leak);
    const { result, sightings } = await watch(place, 'secrets list');
    return { result, where: sightings.map(({ where }) => where) };
  };

  test('a value in the arguments of a process that lives for a moment', async () => {
    expect((await leaky(`sh -c 'sleep 0.5; :' "$(secrets-real get a)"`)).where).toContain('cmdline');
  });

  test('a value in the environment of another process', async () => {
    expect((await leaky('A=$(secrets-real get a) sleep 0.5')).where).toContain('environ');
  });

  test('a value in base64 inside a longer text on stderr', async () => {
    const { result } = await leaky('printf "user:%s" "$(secrets-real get a)" | base64 >&2');
    expect(holds(result.stderr, FORMS)).toBe(true);
  });

  test('a value in hex in a file in TMPDIR, and in a file’s name', async () => {
    await leaky('secrets-real get a | od -An -v -tx1 | tr -d " \\n" > $TMPDIR/left');
    expect(findFiles([place.tmp], FORMS)).toEqual([join(place.tmp, 'left')]);
    await place.sh('touch "$HOME/$(secrets-real get a | base64)"');
    expect(findFiles([place.home], FORMS)).toHaveLength(1);
  });

  test('a private file of exec while it lives', async () => {
    const found = await place.sh(
      `secrets exec --file A=a -- sh -c 'stat -c %a "$A" "$(dirname "$A")"; dirname "$(dirname "$A")"; cat "$A"'`,
      { XDG_RUNTIME_DIR: join(place.root, 'run') },
    );
    expect(found.stdout).toBe(`600\n700\n${join(place.root, 'run')}\n${CANARY}`);
    expect(readdirSync(join(place.root, 'run'))).toEqual([]);
  });

  test('a plain hash of a value in the log', async () => {
    await place.sh(
      `printf '{"hash":"%s"}\\n' $(secrets get a | sha256sum | cut -c 1-64) >> '${logOf(place)}'`,
    );
    expect(findFiles([stateOf(place)], IMAGES)).toEqual([logOf(place)]);
  });

  test('the environment of exec’s child, which is where the value belongs', async () => {
    const work = () => place.sh(`secrets exec -e A=a -- ${CHILD}`);
    const { sightings, seen } = await watchProcesses(work, FORMS, () => false);
    expect(seen).toContain(CHILD);
    expect(sightings.map(({ where, command }) => `${where} of ${command}`)).toContain(`environ of ${CHILD}`);
  });
});
