/** Hostile secrets.yaml files and folders, through the loader: one line, the product's own error, and nothing else. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { loadConfig } from '../../src/config/load.ts';
import { SecretsError } from '../../src/core/errors.ts';
import { providers } from '../../src/providers/registry.ts';
import { targets } from '../../src/rotation/targets/index.ts';
import type { ProgramWorld } from '../../src/config/kinds.ts';
import { documents } from './documents.ts';
import { ORDINARY_USER, testNeeding } from '../needs.ts';
import { sized } from '../size.ts';

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'hostile-'));
});
afterAll(() => rmSync(home, { recursive: true }));

const world = (): ProgramWorld =>
  ({
    env: {},
    home,
    cwd: home,
    uid: process.getuid?.(),
    providers,
    targets: async () => targets,
    now: () => new Date(),
  }) as unknown as ProgramWorld;

async function load(bytes: string | Uint8Array): Promise<SecretsError | undefined> {
  writeFileSync(join(home, 'secrets.yaml'), bytes);
  try {
    await loadConfig(world(), {});
    return undefined;
  } catch (thrown) {
    // What is no SecretsError is a crash.
    if (!(thrown instanceof SecretsError)) throw thrown;
    return thrown;
  }
}

describe('the corpus', () => {
  test.each(documents)('$title', async ({ bytes, refused }) => {
    const started = process.cpuUsage();
    const error = await load(bytes);
    expect(process.cpuUsage(started).user).toBeLessThan(5_000_000);
    if (refused === undefined) {
      expect(error).toBeUndefined();
    } else {
      expect(error?.message).toMatch(refused);
      expect(error?.kind).toBe('Usage');
      expect(error?.message.length).toBeLessThan(500);
    }
  });

  test('nothing got onto the prototype of objects', () => {
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as Record<string, unknown>)['env']).toBeUndefined();
  });
});

/** Texts that are made of what YAML gives a meaning to. */
const yamlish = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...[
          'stores:',
          'env:',
          'profiles:',
          'default:',
          'A: ',
          'provider: ',
          'vault',
          'local://a',
          '{',
          '}',
          '[',
          ']',
        ],
        ...[
          '\n',
          '\n  ',
          '\n    ',
          ' ',
          ': ',
          ', ',
          '- ',
          '? ',
          '&a ',
          '*a',
          '!t ',
          '%',
          '#',
          '|',
          '>',
          '"',
          "'",
          '\\',
        ],
        ...[
          '---',
          '...',
          '<<: ',
          '\t',
          '\r\n',
          '\ufeff',
          '\0',
          '__proto__',
          '\u202e',
          '~',
          'null',
          '0x1',
          '1e9',
        ],
      ),
      fc.string({ maxLength: 8, unit: 'binary' }),
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(''));

describe('whatever the file holds', () => {
  const check = async (bytes: string | Uint8Array): Promise<void> => {
    const error = await load(bytes);
    if (error === undefined) return;
    expect(['Usage', 'Policy']).toContain(error.kind);
    expect(error.message).not.toMatch(/\n|\bat .*\.ts:/);
  };
  test('text like YAML', () => fc.assert(fc.asyncProperty(yamlish, check), { numRuns: sized(200, 2000) }));
  test('bytes', () =>
    fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), check), { numRuns: sized(100, 500) }));
  test('any JSON', () =>
    fc.assert(
      fc.asyncProperty(fc.json(), (json) => check(json)),
      { numRuns: sized(100, 500) },
    ));
  test('sections of any JSON', () =>
    fc.assert(
      fc.asyncProperty(
        fc.constantFrom('env', 'stores', 'profiles', 'default'),
        fc.dictionary(fc.oneof(fc.constantFrom('a', 'A', 'vault', 'ci'), fc.string()), fc.jsonValue(), {
          maxKeys: 3,
        }),
        (section, value) => check(JSON.stringify({ [section]: value })),
      ),
      { numRuns: sized(150, 1000) },
    ));
});

describe('what is not a file', () => {
  const place = (): string => mkdtempSync(join(home, 'not-'));
  const loadIn = (cwd: string): Promise<unknown> => loadConfig({ ...world(), cwd }, {});

  test('a folder of that name', async () => {
    const cwd = place();
    mkdirSync(join(cwd, 'secrets.yaml'));
    await expect(loadIn(cwd)).rejects.toMatchObject({
      kind: 'Usage',
      message: expect.stringContaining('not a file') as string,
    });
  });

  test('a device, by a link', async () => {
    const cwd = place();
    symlinkSync('/dev/zero', join(cwd, 'secrets.yaml'));
    await expect(loadIn(cwd)).rejects.toMatchObject({
      kind: 'Usage',
      message: expect.stringContaining('not a file') as string,
    });
  });

  test('a link to itself', async () => {
    const cwd = place();
    symlinkSync('secrets.yaml', join(cwd, 'secrets.yaml'));
    await expect(loadIn(cwd)).rejects.toBeInstanceOf(SecretsError);
  });

  test('a link to nothing', async () => {
    const cwd = place();
    symlinkSync('nowhere', join(cwd, 'secrets.yaml'));
    await expect(loadIn(cwd)).rejects.toMatchObject({
      kind: 'Usage',
      message: expect.stringMatching(/^there is no /) as string,
    });
  });

  testNeeding(ORDINARY_USER)('a file that may not be read', async () => {
    const cwd = place();
    writeFileSync(join(cwd, 'secrets.yaml'), 'env: {}\n');
    chmodSync(join(cwd, 'secrets.yaml'), 0);
    await expect(loadIn(cwd)).rejects.toMatchObject({ kind: 'Denied' });
  });
});
