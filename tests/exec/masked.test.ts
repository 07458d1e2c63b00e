/** Output that is masked on its way through pipes. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { statFields } from '../../src/platform/process-identity.ts';
import { Box, until } from './setup.ts';

let box: Box;
beforeAll(() => {
  box = new Box();
  box.put('text', 'plain-wörd-väluê');
  box.put('short', 'abc');
  box.put('lines', 'first line\nsecond line\n');
});
afterAll(() => box.remove());

/** Until a process sleeps, and has for so many looks used no more of the processor: it waits for somebody. */
async function stands(pid: number, looks = 20): Promise<void> {
  let last = '';
  let same = 0;
  await until(
    () => {
      const fields = statFields(pid) ?? [];
      const now = [fields[0], ...fields.slice(11, 13)].join(' ');
      same = now === last && now.startsWith('S') ? same + 1 : 0;
      last = now;
      return same >= looks;
    },
    () => `process ${pid} to wait`,
  );
}

const masked = (script: string, ...more: string[]) =>
  box.run(['exec', '--redact', '-e', 'T=text', ...more, '--', 'bash', '-c', script]);

test('a value that is written in pieces, cut inside of a character, is masked on both streams', async () => {
  // All bytes are known before the first is written: between two of them no program has to be started.
  const script = `mapfile -t bytes < <(printf %s "$T" | od -An -v -tx1 | tr -d ' \\n' | fold -w2)
    for byte in "\${bytes[@]}"; do printf "\\x$byte"; printf "\\x$byte" >&2; done; echo .`;
  const { stdout, stderr, code } = await masked(script);
  expect({ stdout, stderr, code }).toEqual({ stdout: '***.\n', stderr: '***', code: 0 });
});

test('pauses show three bytes of it at most', async () => {
  const { stdout } = await masked(
    'printf "%s" "${T:0:9}"; sleep 0.3; printf "%s\\n" "${T:9}"; echo "${T:0:2}"',
  );
  expect(stdout).toBe('***\npl\n');
});

test('short values are named, not masked', async () => {
  const { stdout, stderr } = await masked('echo abc abcdef', '-e', 'S=short');
  expect(stdout).toBe('abc abcdef\n');
  expect(stderr).toBe('secrets: warning: too short to be masked in the output: S\n');
});

test('a value of lines is masked with either line end', async () => {
  const { stdout } = await masked('printf "%s|" "$L"; printf "%s" "$L" | sed "s/$/\\r/"', '-e', 'L=lines');
  expect(stdout).toBe('***\n|***\r\n');
});

test('a program that closes its streams early runs on to its own end', async () => {
  const { stdout, stderr, code } = await masked('echo "$T"; exec >&- 2>&-; sleep 0.5; exit 3');
  expect({ stdout, stderr, code }).toEqual({ stdout: '***\n', stderr: '', code: 3 });
});

test('what it leaves in the background is read while it writes, and does not keep us once it is silent', async () => {
  // Silent for longer than `box` lets anything run.
  const { stdout, code } = await masked(
    '(for i in 1 2 3; do sleep 0.3; echo "$T $i"; done; exec sleep 400) & exit 4',
  );
  expect({ stdout, code }).toEqual({ stdout: '*** 1\n*** 2\n*** 3\n', code: 4 });
});

test('a child can open its own streams by name, as through a shell’s pipes', async () => {
  const { stdout, stderr, code } = await masked('echo "$T" > /dev/stdout; echo "$T" > /dev/stderr');
  expect({ stdout, stderr, code }).toEqual({ stdout: '***\n', stderr: '***\n', code: 0 });
});

test.each([
  ['SIGTERM', 143],
  ['SIGKILL', 137],
] as const)('a reader that takes nothing does not keep %s from the program', async (signal, code) => {
  // The program writes until nothing more goes through.
  const script = 'echo pid $$ >&2; trap - TERM; exec yes "$T"';
  const running = box.start(['exec', '--redact', '-e', 'T=text', '--', 'bash', '-c', script], {
    before: ['bash', '-c', '"$@" | sleep 40; echo "code ${PIPESTATUS[0]}"', 'bash'],
  });
  await until(
    () => /pid \d+\n/.test(running.output.stderr),
    () => 'the program',
  );
  const child = Number(/pid (\d+)\n/.exec(running.output.stderr)?.[1]);
  await stands(child);
  const [, parent] = /PPid:\s*(\d+)/.exec(readFileSync(`/proc/${child}/status`, 'utf8')) ?? [];
  process.kill(signal === 'SIGKILL' ? child : Number(parent), signal);
  await until(
    () => !existsSync(`/proc/${child}`),
    () => 'its end',
  );
  if (signal === 'SIGTERM') {
    // We don't wait for the reader either then.
    await until(
      () => !existsSync(`/proc/${parent}`),
      () => 'our end',
    );
    expect(running.output.stdout).toBe('');
  }
  const readers = spawnSync('pgrep', ['-x', '-P', String(running.process.pid), 'sleep']).stdout.toString();
  process.kill(Number(readers.trim()));
  expect((await running.ended).stdout).toBe(`code ${code}\n`);
});

test('fifty megabytes pass whole and in order', async () => {
  const before = ['bash', '-c', '"$@" | md5sum; seq 1 6500000 | md5sum', 'bash'];
  const { stdout } = await box.run(['exec', '--redact', '-e', 'T=text', '--', 'seq', '1', '6500000'], {
    before,
  });
  const [through, plain] = stdout.trim().split('\n');
  expect(through).toBe(plain);
});
