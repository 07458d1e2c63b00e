/** `audit anchor` and `audit verify` as a user runs them: anchors in files, secrets and webhooks; keys; live logs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { AuditRecord } from '../../src/core/audit/record.ts';
import { makePlace, type Outcome, type Place } from '../e2e/program.ts';

let place: Place;
let folder: string;
beforeEach(async () => {
  place = await makePlace();
  folder = join(place.home, '.local/state/secrets/audit');
});
afterEach(() => place.remove());
const sh = (line: string): Promise<Outcome> => place.sh(line);
const log = (): string => join(folder, 'audit.jsonl');
const heads = (): string => join(place.home, '.local/share/secrets/audit-heads');
const lines = (): string[] => readFileSync(log(), 'utf8').split('\n').slice(0, -1);
const last = (text: string): AuditRecord => JSON.parse(text.trim().split('\n').at(-1) ?? '') as AuditRecord;

/** Takes what is posted, and answers with that status. */
async function receiver(status: number): Promise<{ url: string; got: string[]; server: Server }> {
  const got: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      got.push(`${request.method} ${request.url} ${request.headers['content-type']} ${body}`);
      response.writeHead(status, { location: 'http://localhost/' }).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/anchors?x=1`, got, server };
}

test('an anchor is the signed end of the log, made once for one end', async () => {
  await sh('printf v | secrets put a --quiet');
  const first = await sh('secrets audit anchor');
  expect(first).toMatchObject({ code: 0, stderr: '' });
  expect(last(first.stdout)).toMatchObject({ kind: 'checkpoint', seq: lines().length });
  expect(first.stdout.trim()).toBe(lines().at(-1));
  expect((await sh('secrets audit anchor')).stdout).toBe(first.stdout);
});

test('in a secret, a webhook, a file and stdin; and in each it finds an end that is missing', async () => {
  const { url, got, server } = await receiver(204);
  try {
    await sh('printf v | secrets put a --quiet');
    const before = readFileSync(log(), 'utf8');
    cpSync(heads(), join(place.root, 'heads'), { recursive: true });
    const made = await sh(
      `secrets audit anchor --to local://audit/anchor --to '${url}' --to - > anchor.json`,
    );
    expect([made.code, made.stderr]).toEqual([0, '']);
    expect(got).toHaveLength(1);
    expect(got[0]).toMatch(/^POST \/anchors\?x=1 application\/json \{/);
    writeFileSync(join(place.cwd, 'posted.json'), got[0]?.slice(got[0].indexOf('{')) ?? '');
    const places = ['local://audit/anchor', './posted.json', 'anchor.json', '-'];
    const verify = (anchor: string): Promise<Outcome> =>
      sh(`secrets audit verify --anchor ${anchor} < anchor.json`);
    for (const anchor of places) expect([anchor, (await verify(anchor)).code]).toEqual([anchor, 0]);
    writeFileSync(log(), before);
    rmSync(join(folder, 'audit.head'));
    // Alone, the second head tells; one that is brought back as well does not.
    expect((await sh('secrets audit verify')).stdout).toMatch(/^truncated: .*the second head knows record/);
    cpSync(join(place.root, 'heads'), heads(), { recursive: true });
    expect((await sh('secrets audit verify')).code).toBe(0);
    for (const anchor of places.slice(1)) {
      const { code, stdout } = await verify(anchor);
      expect([anchor, code, stdout.split(':')[0]]).toEqual([anchor, 9, 'truncated']);
    }
  } finally {
    server.close();
  }
});

test('a URL is named by its origin alone, and holds no password', async () => {
  await sh('printf v | secrets put a --quiet');
  for (const status of [204, 500]) {
    const { url, server } = await receiver(status);
    try {
      const { code, stderr } = await sh(`secrets audit anchor --to '${url}&token=LetMeIn' --debug`);
      expect(code).toBe(status === 204 ? 0 : 6);
      if (status === 500) expect(stderr).toContain(new URL(url).origin);
      expect(stderr).not.toMatch(/anchors|LetMeIn/);
      const withPassword = await sh(`secrets audit anchor --to '${url.replace('//', '//user:LetMeIn@')}'`);
      expect(withPassword).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/a user name or a password/),
      });
      expect(withPassword.stderr).not.toContain('LetMeIn');
    } finally {
      server.close();
    }
  }
});

test('who has the key and writes the log anew is found by the anchor', async () => {
  await sh('printf v | secrets put a --quiet; secrets get a; secrets audit anchor > anchor.json');
  rmSync(log());
  rmSync(join(folder, 'audit.head'));
  rmSync(heads(), { recursive: true });
  await sh('for i in 1 2 3 4 5; do secrets get a; done');
  expect((await sh('secrets audit verify')).code).toBe(0);
  const { code, stdout } = await sh('secrets audit verify --anchor anchor.json');
  expect([code, stdout.split(':')[0]]).toEqual([9, 'changed']);
});

test('places that can’t be used are refused before anything is signed', async () => {
  await sh('printf v | secrets put a --quiet');
  const signed = (): number => lines().filter((line) => line.includes('"kind":"checkpoint"')).length;
  const before = signed();
  for (const to of ['http://example.com/x', 'local://a#key', 'nowhere://a', 'https://', 'local://../a']) {
    const { code, stdout, stderr } = await sh(`secrets audit anchor --to '${to}'`);
    expect([to, code, stdout]).toEqual([to, 2, '']);
    expect(stderr).toMatch(/^secrets: /);
  }
  expect(signed()).toBe(before);
  const { url, server } = await receiver(503);
  const failed = await sh(`secrets audit anchor --to '${url}' --to -`);
  server.close();
  expect([failed.code, failed.stderr]).toEqual([6, expect.stringContaining('status 503')]);
  expect(last(failed.stdout).kind).toBe('checkpoint');
});

test('what is no anchor, or was changed, is refused', async () => {
  await sh('printf v | secrets put a --quiet; secrets audit anchor > anchor.json');
  const text = readFileSync(join(place.cwd, 'anchor.json'), 'utf8');
  for (const [bad, code] of [
    ['', 2],
    ['x', 2],
    ['{}', 2],
    [lines()[1] ?? '', 2],
    [text.replace('"outcome":"allowed"', '"outcome":"failed"'), 9],
    [`${text}x`, 2],
  ] as const) {
    writeFileSync(join(place.cwd, 'bad.json'), bad);
    const outcome = await sh('secrets audit verify --anchor bad.json');
    expect([bad, outcome.code, outcome.stderr.startsWith('secrets: ')]).toEqual([bad, code, true]);
  }
  expect((await sh('secrets audit verify --anchor missing.json')).code).toBe(2);
  expect((await sh('secrets audit verify --anchor local://missing')).code).toBe(3);
});

test('a copy elsewhere is checked by the key beside it, by one that is given, and not by another', async () => {
  await sh('printf v | secrets put a --quiet; secrets audit anchor > anchor.json');
  const other = join(place.root, 'other');
  const copy = join(place.cwd, 'copy');
  for (const made of [other, copy]) mkdirSync(made, { mode: 0o700 });
  for (const file of ['audit.jsonl', 'audit.pub', 'audit.head'])
    copyFileSync(join(folder, file), join(copy, file));
  const verify = (more = ''): Promise<Outcome> =>
    place.sh(`secrets audit verify copy/audit.jsonl ${more}`, { XDG_STATE_HOME: other });
  const beside = await verify();
  expect([beside.code, beside.stdout]).toEqual([0, expect.stringContaining('pin it with --key')]);
  const id = last(readFileSync(join(place.cwd, 'anchor.json'), 'utf8')).checkpoint?.key ?? '';
  for (const key of [id, 'copy/audit.pub']) {
    const pinned = await verify(`--key ${key}`);
    expect([key, pinned.code, pinned.stdout.includes('--key')]).toEqual([key, 0, false]);
  }
  expect((await verify(`--key ${'0'.repeat(64)}`)).stdout).toMatch(/^wrong-key: /);
  expect((await verify('--key missing.pub')).code).toBe(2);
  rmSync(join(copy, 'audit.pub'));
  expect((await verify()).stdout).toContain('pin it with --key');
  // The user's own key is another one.
  await place.sh('printf v | secrets put b --quiet', { XDG_STATE_HOME: other });
  expect((await verify()).code).toBe(9);
});

test('a key that was lost makes a new one, and the log needs both', async () => {
  await sh('printf v | secrets put a --quiet; secrets audit anchor > first.json');
  rmSync(join(folder, 'signing.key'));
  await sh('secrets get a; secrets audit anchor > second.json');
  const [old, own] = ['first.json', 'second.json'].map(
    (file) => last(readFileSync(join(place.cwd, file), 'utf8')).checkpoint?.key,
  );
  expect(old).not.toBe(own);
  const alone = await sh('secrets audit verify');
  expect([alone.code, alone.stdout]).toEqual([9, expect.stringMatching(/^wrong-key: .*record 1: /)]);
  expect((await sh(`secrets audit verify --key ${old} --key ${own}`)).code).toBe(0);
  expect((await sh(`secrets audit verify --key '${join(folder, 'audit.pub')}'`)).code).toBe(0);
});

test('a log that can’t be written can still be checked and read', async () => {
  await sh('printf v | secrets put a --quiet');
  chmodSync(join(folder, 'audit.head'), 0o644);
  const { code, stdout } = await sh('secrets audit verify');
  expect([code, stdout.split(':')[0]]).toEqual([9, 'exposed']);
  expect((await sh('secrets audit log --json')).stdout.split('\n')).toHaveLength(2);
  const write = await sh('secrets get a');
  expect([write.code, write.stdout]).toEqual([0, 'v']);
  expect(write.stderr).toMatch(/not recorded.*open to other users/);
});

test('verifying while others write, and close files, finds nothing wrong', async () => {
  mkdirSync(join(place.home, '.config/secrets'), { recursive: true, mode: 0o700 });
  writeFileSync(
    join(place.home, '.config/secrets/secrets.yaml'),
    'audit: { rotate-size: 8KiB, keep-files: 3 }\n',
  );
  await sh('printf v | secrets put a --quiet');
  const writers = Array.from({ length: 3 }, () =>
    spawn('bash', ['-c', 'for i in $(seq 15); do secrets get a > /dev/null || exit 1; done'], {
      cwd: place.cwd,
      env: { ...place.env },
    }),
  );
  const done = Promise.all(writers.map((writer) => once(writer, 'close')));
  const state = { running: true };
  void done.then(() => (state.running = false));
  let rounds = 0;
  while (state.running) {
    const { code, stdout } = await sh('secrets audit verify');
    expect([code, stdout.startsWith('the log is whole')]).toEqual([0, true]);
    rounds += 1;
  }
  expect((await done).map(([code]) => code as number)).toEqual([0, 0, 0]);
  expect(rounds).toBeGreaterThan(1);
  expect(existsSync(log())).toBe(true);
  expect((await sh('secrets audit verify --json')).code).toBe(0);
});

test('what is missing is accepted by a signature, and what was altered is not', async () => {
  await sh('printf v | secrets put a --quiet; secrets get a; secrets get a');
  expect(await sh('secrets audit anchor --accept')).toMatchObject({ code: 2, stdout: '' });
  writeFileSync(log(), lines().slice(0, 2).join('\n') + '\n');
  rmSync(join(folder, 'audit.head'));
  const cut = await sh('secrets audit verify --json');
  expect([cut.code, (JSON.parse(cut.stdout) as { problems: object[] }).problems]).toEqual([
    9,
    [expect.objectContaining({ kind: 'truncated', acceptable: true })],
  ]);
  const accepted = await sh('secrets audit anchor --accept');
  expect([accepted.code, accepted.stderr]).toEqual([
    0,
    expect.stringMatching(
      /accepted: truncated: record 4: the log ends with record 2, and the second head knows record 4/,
    ),
  ]);
  expect(last(accepted.stdout).checkpoint?.accepted).toEqual({ from: 1, hash: '0'.repeat(64) });
  const after = await sh('secrets audit verify');
  expect([after.code, after.stdout]).toEqual([
    0,
    expect.stringMatching(/^what was missing before checkpoint \d+ is accepted/m),
  ]);
  writeFileSync(log(), readFileSync(log(), 'utf8').replace('"outcome":"allowed"', '"outcome":"failed"'));
  expect(await sh('secrets audit anchor --accept')).toMatchObject({
    code: 9,
    stdout: '',
    stderr: expect.stringMatching(/this can’t be accepted: changed: /),
  });
});

test('a new log is begun by moving the old one away, and signing that', async () => {
  await sh('printf v | secrets put a --quiet; secrets get a');
  await sh(`mkdir ~/old; mv '${folder}'/audit* ~/old/`);
  expect((await sh('secrets audit verify')).code).toBe(9);
  await sh('secrets get a');
  expect((await sh('secrets audit verify')).stdout).toMatch(/^truncated: .*the log had lost its end/);
  expect((await sh('secrets audit anchor --accept')).code).toBe(0);
  expect((await sh('secrets audit verify')).code).toBe(0);
});
