/**
 * Each format's round trip: hostile values (values.ts; 2,000 in a full run) are written, read by the program or library the
 * format is for, and compared. Where that one can't run here, the test has a reader written from its documentation,
 * and the title says so.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { type EnvFormat, writeEnv } from '../../../src/core/environment/formats.ts';
import { SecretsError } from '../../../src/core/errors.ts';
import { readEnvFile } from '../../../src/transfer/dotenv/read.ts';
import { FileProblems } from '../../../src/transfer/problems.ts';
import { GO_READERS, PYTHON_READER, READERS, RUBY_READER } from '../../backends/env-readers.ts';
import { COUNT, SEED, VALUES } from './values.ts';
import { readFish, readGithubEnv, readGitlabReport, readHcl, readPowerShell } from './readers.ts';
import { program, testNeeding } from '../../needs.ts';

const OPTIONS = { name: 'app', nonce: '0123456789abcdef' };
const folder = mkdtempSync(join(tmpdir(), 'secrets-env-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The values that a format can hold, written at once, and those it refuses. */
function written(format: EnvFormat): {
  text: string;
  kept: Map<string, string>;
  refused: Map<string, string>;
} {
  const kept = new Map<string, string>();
  const refused = new Map<string, string>();
  for (const [name, value] of VALUES) {
    try {
      writeEnv(format, new Map([[name, value]]), OPTIONS);
      kept.set(name, value);
    } catch (thrown) {
      if (!(thrown instanceof SecretsError)) throw thrown;
      expect(thrown.message).toContain(`the format ${format} can’t hold the value of ${name}: it has `);
      refused.set(name, value);
    }
  }
  return { text: writeEnv(format, kept, OPTIONS), kept, refused };
}

/** Names the first value that did not come back; comparing all at once would say little. */
function expectSame(got: ReadonlyMap<string, string>, kept: ReadonlyMap<string, string>): void {
  for (const [name, value] of kept) {
    if (got.get(name) !== value) {
      throw new Error(
        `${name} (seed ${SEED}): ${JSON.stringify(value)} came back as ${JSON.stringify(got.get(name))}`,
      );
    }
  }
  expect(got.size).toBe(kept.size);
}

function refusedValues(refused: ReadonlyMap<string, string>): readonly string[] {
  return [...refused.values()];
}

/** A test that needs a program. */
function testWith(name: string, title: string, work: () => unknown): void {
  testNeeding(program(name))(title, async () => {
    await work();
  });
}

/** The variables that a shell has after it read a file, as `env -0` prints them. */
function shellVariables(command: readonly string[], format: EnvFormat): Map<string, string> {
  const { text } = written(format);
  const file = join(folder, `${format}.${command[0]}`);
  writeFileSync(file, text);
  const [program, ...args] = command as [string, ...string[]];
  const { status, stdout, stderr } = spawnSync(program, [...args, `. ${file}; env -0`], {
    env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8', HOME: folder },
    maxBuffer: 1e8,
  });
  expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' });
  const entries = stdout
    .toString()
    .split('\0')
    .map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)] as const);
  return new Map(entries.filter(([name]) => /^V\d+$/.test(name)));
}

test('the values are as many as asked for, and hostile', () => {
  expect(VALUES.size).toBe(COUNT);
  for (const part of ["'", '"', '`', '\\', '$', '\n', '\r', '\u2028', '😀', '\u001b']) {
    expect([...VALUES.values()].filter((value) => value.includes(part)).length).toBeGreaterThan(COUNT / 100);
  }
});

describe('shell', () => {
  for (const command of [
    ['bash', '--norc', '-c'],
    ['dash', '-c'],
    ['zsh', '-f', '-c'],
  ] as const) {
    testWith(command[0], `round-trips through ${command[0]}`, () => {
      const { kept, refused } = written('shell');
      expectSame(shellVariables(command, 'shell'), kept);
      expect(refused.size).toBe(0);
    });
  }
});

describe('fish', () => {
  testWith('fish', 'round-trips through fish', () => {
    const { kept, refused } = written('fish');
    expectSame(shellVariables(['fish', '--no-config', '-c'], 'fish'), kept);
    expect(refused.size).toBe(0);
  });

  test('round-trips through a reader written from its documentation of quotes', () => {
    const { text, kept } = written('fish');
    expectSame(readFish(text), kept);
  });
});

test('powershell round-trips through a reader written from about_Quoting_Rules', () => {
  const { text, kept, refused } = written('powershell');
  expectSame(readPowerShell(text), kept);
  expect(refused.size).toBe(0);
});

describe('dotenv', () => {
  const readers = Object.entries(READERS).map(([name, read]) => {
    const need = /compose|godotenv/.test(name)
      ? GO_READERS
      : /python/.test(name)
        ? PYTHON_READER
        : RUBY_READER;
    return { name, read, needs: /^(dotenv|sh)/.test(name) ? [] : [need] };
  });
  for (const { name, read, needs } of readers) {
    testNeeding(...needs)(`means the same to ${name}`, () => {
      const { text, kept } = written('dotenv');
      const [values] = read([text]);
      expectSame(new Map(Object.entries(values ?? {}).map(([key, value]) => [key, value ?? ''])), kept);
    });
  }

  test('refuses what they disagree about, with the reason', () => {
    const { kept, refused } = written('dotenv');
    for (const value of refusedValues(refused))
      expect(value).toMatch(/[\n\r]|\\$|\\\\|\$\{[^]*\}|'[^]*["$`\\]|["$`\\][^]*'/);
    expect(kept.size).toBeGreaterThan(COUNT * 0.4);
    for (const value of [
      "it's",
      'a#b',
      ' x ',
      '$(touch PWNED)',
      '`id`',
      "'a';touch PWNED",
      'a"b',
      '\\n',
      '{"a":"b"}',
    ])
      expect(writeEnv('dotenv', new Map([['A', value]]), OPTIONS)).toMatch(/^A=(["'])[^]*\1\n$/);
  });

  test('is taken back by import without a dialect', () => {
    const { text, kept } = written('dotenv');
    expectSame(readEnvFile(text, new FileProblems('.env'), undefined).values, kept);
  });

  test('runs nothing when a shell reads it', () => {
    const hostile = [
      "'a';touch PWNED",
      '$(touch PWNED)',
      '`touch PWNED`',
      'x\ntouch PWNED',
      "';touch PWNED;'",
      '"$(touch PWNED)"',
    ];
    const texts = hostile.flatMap((value) => {
      try {
        return writeEnv('dotenv', new Map([['A', value]]), OPTIONS);
      } catch {
        return [];
      }
    });
    expect(texts.length).toBeGreaterThan(3);
    for (const text of texts) {
      writeFileSync(join(folder, 'hostile.env'), text);
      for (const shell of ['sh', 'bash'])
        spawnSync(shell, ['-c', 'set -a; . ./hostile.env'], { cwd: folder });
    }
    expect(existsSync(join(folder, 'PWNED'))).toBe(false);
  });
});

describe('json', () => {
  test('round-trips through JSON.parse', () => {
    const { text, kept, refused } = written('json');
    expectSame(new Map(Object.entries(JSON.parse(text) as Record<string, string>)), kept);
    expect(refused.size).toBe(0);
  });

  testWith('jq', 'round-trips through jq', () => {
    const { text, kept } = written('json');
    expectSame(throughJq('jq', text), kept);
  });
});

/** jq (and yq, which feeds it) prints each value in base64. */
function throughJq(program: string, text: string): Map<string, string> {
  const { status, stdout, stderr } = spawnSync(
    program,
    ['-r', 'to_entries[] | .key + " " + (.value | @base64)'],
    { input: text, maxBuffer: 1e8 },
  );
  expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' });
  const lines = stdout
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' ') as [string, string]);
  return new Map(lines.map(([name, base64 = '']) => [name, Buffer.from(base64, 'base64').toString()]));
}

describe('yaml', () => {
  test('round-trips through the yaml package, as YAML 1.2 and 1.1', () => {
    const { text, kept, refused } = written('yaml');
    for (const version of ['1.2', '1.1'] as const) {
      expectSame(new Map(Object.entries(parseYaml(text, { version }) as Record<string, string>)), kept);
    }
    expect(refused.size).toBe(0);
  });

  testWith('yq', 'round-trips through yq (PyYAML and jq)', () => {
    const { text, kept } = written('yaml');
    expectSame(throughJq('yq', text), kept);
  });
});

test('kubernetes is a Secret manifest whose data decodes to the values', () => {
  const { text, kept, refused } = written('kubernetes');
  const manifest = parseYaml(text) as { data: Record<string, string> };
  expect(manifest).toMatchObject({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'app' },
    type: 'Opaque',
  });
  expectSame(
    new Map(
      Object.entries(manifest.data).map(([name, data]) => [name, Buffer.from(data, 'base64').toString()]),
    ),
    kept,
  );
  expect(refused.size).toBe(0);
  expect(parseYaml(writeEnv('kubernetes', new Map(), OPTIONS))).toMatchObject({ data: {} });
});

describe('docker', () => {
  testWith(
    'docker',
    'round-trips through the docker client, which sends what it read to an engine',
    async () => {
      const { text, kept, refused } = written('docker');
      const file = join(folder, 'docker.env');
      writeFileSync(file, text);
      const sent = await sentToEngine(file);
      expectSame(
        new Map(
          sent.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
        ),
        kept,
      );
      for (const value of refusedValues(refused)) expect(value).toMatch(/[\r\n]/);
    },
  );

  test('refuses line breaks and lines over 64 KiB, which an env-file can’t hold', () => {
    for (const value of ['a\nb', 'a\rb', 'x'.repeat(65_536)]) {
      expect(() => writeEnv('docker', new Map([['A', value]]), OPTIONS)).toThrow(
        /docker can’t hold the value of A/,
      );
    }
  });
});

/** An engine that knows just enough to be sent a container's settings (Docker Engine API, ContainerCreate). */
async function sentToEngine(file: string): Promise<readonly string[]> {
  let settings: { Env?: string[] } = {};
  const engine = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.url?.includes('/containers/create') === true)
        settings = JSON.parse(Buffer.concat(chunks).toString()) as typeof settings;
      response.setHeader('Api-Version', '1.43');
      response.setHeader('Content-Type', 'application/json');
      response.statusCode = request.url?.endsWith('/_ping') === true ? 200 : 500;
      response.end(request.url?.endsWith('/_ping') === true ? 'OK' : '{"message":"that is all"}');
    });
  });
  await new Promise<void>((resolve) => engine.listen(0, '127.0.0.1', resolve));
  const { port } = engine.address() as AddressInfo;
  const client = spawn('docker', ['-H', `tcp://127.0.0.1:${port}`, 'create', '--env-file', file, 'image'], {
    env: { PATH: process.env['PATH'], HOME: folder },
    stdio: 'ignore',
    timeout: 30_000,
  });
  await new Promise((resolve) => client.once('close', resolve));
  await new Promise((resolve) => engine.close(resolve));
  return settings.Env ?? [];
}

describe('github', () => {
  test('round-trips through a reader written from the runner’s rules for GITHUB_ENV', () => {
    const { text, kept, refused } = written('github');
    expectSame(readGithubEnv(text), kept);
    expect(refused.size).toBe(0);
  });

  test('a value can’t end its own block: the delimiter is new each time and refused in a value', () => {
    expect(() => writeEnv('github', new Map([['A', 'x\nsecrets_0123456789abcdef\nB=1']]), OPTIONS)).toThrow(
      /delimiter/,
    );
  });

  test.each(['GITHUB_TOKEN', 'RUNNER_TEMP', 'NODE_OPTIONS'])('refuses %s, which a step can’t set', (name) => {
    expect(() => writeEnv('github', new Map([[name, 'x']]), OPTIONS)).toThrow(`${name} can’t be set`);
  });
});

test('gitlab round-trips through a reader written from the rules for dotenv reports', () => {
  const { text, kept, refused } = written('gitlab');
  expectSame(readGitlabReport(text), kept);
  for (const value of refusedValues(refused))
    expect(/[\r\n]/.test(value) || value !== value.trim() || value === '').toBe(true);
});

test('tfvars round-trips through a reader written from the HCL native syntax', () => {
  const { text, kept, refused } = written('tfvars');
  expectSame(readHcl(text), kept);
  // Strings of OpenTofu and Terraform are normalised to NFC.
  for (const value of refusedValues(refused)) expect(value).not.toBe(value.normalize('NFC'));
  for (const value of kept.values()) expect(value).toBe(value.normalize('NFC'));
});
