/** Secrets that the output breaks off in, or that a tool sets in lines and columns. */
import { spawnSync } from 'node:child_process';
import { MASK, Masker } from '../../../src/core/redaction/redactor.ts';

function mask(secrets: readonly string[], chunks: readonly (string | Uint8Array)[]): string {
  return maskBy(new Masker(secrets.map((secret) => Buffer.from(secret))), chunks);
}

function maskBy(masker: Masker, chunks: readonly (string | Uint8Array)[]): string {
  const stream = masker.stream();
  const out = chunks.map((chunk) => stream.write(Buffer.from(chunk)));
  return Buffer.concat([...out, stream.end()]).toString();
}

describe('what the output breaks off in', () => {
  const long = 'correct-horse-battery-staple';

  test('is masked when it is most of a secret, in any spelling', () => {
    expect(mask([long], ['x correct-ho'])).toBe(`x ${MASK}`);
    expect(mask(['hunter2000'], ['x hunte'])).toBe(`x ${MASK}`);
    expect(mask([long], [`x ${Buffer.from(long).toString('hex').slice(0, 30)}`])).toBe(`x ${MASK}`);
    expect(mask([long], [`x ${Buffer.from(long).toString('base64').slice(0, 20)}`])).toBe(`x ${MASK}`);
    expect(mask(['p&ss<word>'], ['x p\\u0026ss\\u003cw\\u00'])).toBe(`x ${MASK}`);
  });

  test('is shown when it may be the end of any output', () => {
    expect(mask(['yes!'], ['Go on? ye'])).toBe('Go on? ye');
    for (const text of ['x corr', 'a \\\\\\\\', '100%', 'R&amp;', 'x\n'])
      expect(mask([long], [text])).toBe(text);
  });

  test('is masked after a pause as well', () => {
    const stream = new Masker([Buffer.from(long)]).stream();
    const out = [
      stream.write(Buffer.from('cor')),
      stream.release(false),
      stream.write(Buffer.from('rect-horse')),
    ];
    expect(Buffer.concat([...out, stream.end()]).toString()).toBe(`cor${MASK}`);
  });
});

describe('a dump', () => {
  const value = 'correct-horse-battery-staple-of-a-secret-0123456789';
  const dumps = [
    'xxd',
    'xxd -g1',
    'xxd -c 32',
    'xxd -u -c 8',
    'od -An -w32 -tx1z',
    'xxd -p',
    'od -An -tx1',
    'od -tx1',
    'od -A x -tx1z',
    'hexdump -C',
  ];

  const masker = new Masker([Buffer.from(value)]);

  test.each(dumps)('by %s shows no part of a secret', (command) => {
    for (const before of ['', 'a', 'password=', 'x'.repeat(15), 'x'.repeat(33)]) {
      for (const after of ['', '\n', ' and more text after it\n']) {
        const { status, stdout } = spawnSync('sh', ['-c', command], { input: before + value + after });
        // What is not there can't be looked at.
        if (status === 127) return;
        const shown = maskBy(masker, [stdout]);
        for (let at = 0; at + 5 <= value.length; at += 1) {
          const part = value.slice(at, at + 5);
          expect(shown).not.toContain(part);
          expect(shown.replaceAll(/\s/g, '')).not.toContain(Buffer.from(part).toString('hex'));
        }
      }
    }
  });

  test('of something else is shown as it is', () => {
    const { stdout } = spawnSync('sh', ['-c', 'od -An -tx1'], { input: 'nothing of it\n'.repeat(20) });
    expect(mask([value], [stdout])).toBe(stdout.toString());
  });
});

test('finds a long value that is folded at any width from eight', () => {
  const value = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'.repeat(4);
  const masker = new Masker([Buffer.from(value)]);
  for (let width = 8; width < 90; width += 1) {
    for (const end of ['\n', '\r\n']) {
      const lines = value.match(new RegExp(`.{1,${width}}`, 'g')) ?? [];
      expect(maskBy(masker, [`${lines.join(end)}\n`])).toBe(`${MASK}\n`);
    }
  }
});

test('finds a document in base64 that has the value escaped', () => {
  const value = 'p"ss<w&rd>/é\\x';
  const ascii = (text: string): string =>
    text.replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const json = JSON.stringify({ auth: value });
  const documents = [
    json,
    ascii(json),
    json.replace(/[<>&]/g, ascii),
    json.replaceAll('/', '\\/'),
    ...['x', 'xx'].map((name) => JSON.stringify({ [name]: value })),
  ];
  for (const document of documents) {
    const shown = mask([value], [Buffer.from(document).toString('base64')]);
    expect(shown).toContain(MASK);
    // What stands around it, and the characters that it shares with that.
    expect(shown.length).toBeLessThan(24);
  }
});
