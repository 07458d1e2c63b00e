import fc from 'fast-check';
import { sized } from '../../size.ts';
import { MASK, Masker } from '../../../src/core/redaction/redactor.ts';

/** Printed with a failure, and fixed so that two runs see the same cases. */
const SEED = 20261123;

/** Some of the texts that encoders make of a value. */
function formsOf(value: Uint8Array): readonly Buffer[] {
  const bytes = Buffer.from(value);
  const forms = [bytes, bytes.toString('hex'), bytes.toString('base64')];
  const text = bytes.toString();
  if (Buffer.from(text).equals(bytes)) {
    const json = JSON.stringify(text).slice(1, -1);
    forms.push(json, JSON.stringify(json).slice(1, -1), text.replaceAll("'", "'\\''"));
    if (!/\p{Cs}/u.test(text)) forms.push(encodeURIComponent(text));
  }
  return forms.map((form) => Buffer.from(form)).filter(({ length }) => length >= 4);
}

function mask(secrets: readonly (string | Uint8Array)[], chunks: readonly (string | Uint8Array)[]): string {
  const stream = new Masker(secrets.map((secret) => Buffer.from(secret))).stream();
  const out = chunks.map((chunk) => stream.write(Buffer.from(chunk)));
  return Buffer.concat([...out, stream.end()]).toString();
}

/** Cuts a buffer at the given places. */
function cut(whole: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (whole.length + 1)))].sort((a, b) => a - b);
  return [...sorted, whole.length].map((to, index) => whole.subarray(sorted[index - 1] ?? 0, to));
}

/** Without the mask's own character, which could make a form out of a mask and its neighbours. */
const secret = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 4, maxLength: 12 }),
  fc.string({ unit: 'grapheme', minLength: 4, maxLength: 30 }).map((text) => text.replaceAll('*', 'x')),
  fc
    .uint8Array({ minLength: 4, maxLength: 40 })
    .map((bytes) => bytes.map((byte) => (byte === 0x2a ? 0x2b : byte))),
);
const noise = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '\n', '=', '%', '\\', "'"), maxLength: 8 });

describe('masking a stream', () => {
  test('gives the same whatever the chunks are, and leaves no form of a secret', () => {
    const cases = fc.array(secret, { minLength: 1, maxLength: 4 }).chain((secrets) => {
      const forms = secrets.flatMap((value) => [...formsOf(Buffer.from(value))]);
      const piece = fc.oneof(
        noise.map((text) => Buffer.from(text)),
        fc.constantFrom(...forms),
      );
      return fc.record({
        secrets: fc.constant(secrets),
        whole: fc.array(piece, { maxLength: 12 }).map((pieces) => Buffer.concat(pieces)),
        places: fc.array(fc.nat({ max: 1000 }), { maxLength: 30 }),
      });
    });
    fc.assert(
      fc.property(cases, ({ secrets, whole, places }) => {
        const bytes = secrets.map((value) => Buffer.from(value));
        const masker = new Masker(bytes);
        const stream = masker.stream();
        const cutUp = Buffer.concat([
          ...cut(whole, places).map((chunk) => stream.write(chunk)),
          stream.end(),
        ]);
        const atOnce = masker.stream();
        expect(cutUp.equals(Buffer.concat([atOnce.write(whole), atOnce.end()]))).toBe(true);
        for (const form of bytes.flatMap((value) => [...formsOf(value)]))
          expect(cutUp.includes(form)).toBe(false);
      }),
      { numRuns: sized(60, 400), seed: SEED },
    );
  });

  test('goes on, wherever it learns of more secrets, with what has begun', () => {
    fc.assert(
      fc.property(
        fc.array(secret, { minLength: 1, maxLength: 3 }),
        fc.array(secret, { maxLength: 2 }),
        fc.array(fc.nat({ max: 1000 }), { maxLength: 12 }),
        fc.array(noise, { maxLength: 6 }),
        (secrets, more, places, between) => {
          const bytes = secrets.map((value) => Buffer.from(value));
          const whole = Buffer.concat(
            between.flatMap((text, at) =>
              [Buffer.from(text), bytes[at % bytes.length] ?? ''].map((part) => Buffer.from(part)),
            ),
          );
          const chunks = cut(whole, places);
          const added = more.map((value) => Buffer.from(value));
          const [once, again] = [bytes, [...bytes, ...added]].map((known) => {
            const stream = new Masker(bytes).stream();
            const grown = new Masker(known);
            const out = chunks.map((chunk, at) => {
              if (at > 0) stream.switchTo(grown);
              return stream.write(chunk);
            });
            return Buffer.concat([...out, stream.end()]);
          });
          // The same secrets anew change nothing …
          expect(once?.toString('latin1')).toBe(Buffer.from(mask(secrets, [whole])).toString('latin1'));
          // … and more of them hide no less.
          for (const value of bytes) expect(again?.includes(value)).toBe(false);
        },
      ),
      { numRuns: sized(20, 80), seed: SEED },
    );
  });

  test('masks what it learned of, and what it knew before, in the middle of either', () => {
    const stream = new Masker([Buffer.from('old-secret')]).stream();
    const out = [stream.write(Buffer.from('a new-secret, old-'))];
    stream.switchTo(new Masker([Buffer.from('old-secret'), Buffer.from('new-secret')]));
    out.push(stream.write(Buffer.from('secret new-secret old-secret')), stream.end());
    expect(Buffer.concat(out).toString()).toBe('a new-secret, *** *** ***');
  });

  test('agrees with a plain search where nothing is encoded: exactly the occurrences are replaced', () => {
    // Shorter than a line that is folded.
    const plain = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 4, maxLength: 8 });
    const around = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '\n', '%', '&', '='), maxLength: 8 });
    fc.assert(
      fc.property(
        fc.array(plain, { minLength: 1, maxLength: 3 }),
        fc.array(around, { maxLength: 20 }),
        (secrets, texts) => {
          const forms = secrets;
          const whole = texts
            .flatMap((text, index) => [
              text,
              index % 3 === 0 ? Buffer.from(secrets[index % secrets.length] ?? '').toString('latin1') : '',
            ])
            // What the output breaks off in is masked by another rule.
            .concat('Z')
            .join('')
            // A line break of quoted-printable is part of a secret.
            .replaceAll('=\n', '=c');
          const covered = new Array<boolean>(whole.length).fill(false);
          const ends = new Set<number>();
          const spans: [number, number][] = [];
          for (const form of forms) {
            for (let at = whole.indexOf(form); at !== -1; at = whole.indexOf(form, at + 1))
              spans.push([at, at + form.length]);
          }
          for (const [from, to] of spans) for (let at = from; at < to; at += 1) covered[at] = true;
          // A border between two neighbours that do not overlap starts a mask of its own.
          for (const [, to] of spans) if (!spans.some(([from, end]) => from < to && end > to)) ends.add(to);
          let expected = '';
          for (let at = 0; at < whole.length; at += 1) {
            if (covered[at] !== true) expected += whole[at];
            else if (at === 0 || covered[at - 1] !== true || ends.has(at)) expected += MASK;
          }
          const stream = new Masker(secrets.map((value) => Buffer.from(value))).stream();
          const got = Buffer.concat([stream.write(Buffer.from(whole, 'latin1')), stream.end()]).toString(
            'latin1',
          );
          expect(got).toBe(expected);
        },
      ),
      { numRuns: sized(60, 300), seed: SEED },
    );
  });

  test.each([
    ['base64', (text: string) => Buffer.from(text).toString('base64')],
    ['base64 for URLs, unpadded', (text: string) => Buffer.from(text).toString('base64url')],
    ['percent-encoding', (text: string) => encodeURIComponent(text)],
    [
      'lower-case percent-encoding',
      (text: string) => encodeURIComponent(text).replace(/%../g, (hex) => hex.toLowerCase()),
    ],
    ['form encoding', (text: string) => new URLSearchParams({ x: text }).toString().slice(2)],
    ['JSON', (text: string) => JSON.stringify(text).slice(1, -1)],
    ['JSON within JSON', (text: string) => JSON.stringify(JSON.stringify(text)).slice(3, -3)],
    ['a shell’s single quotes', (text: string) => text.replaceAll("'", "'\\''")],
    ['hexadecimal', (text: string) => Buffer.from(text).toString('hex')],
    ['a terminal’s line ends', (text: string) => text.replaceAll('\n', '\r\n')],
  ])('knows %s', (_, encode) => {
    const value = 'p@ss w/ö\n"rd\' $x+1~*';
    expect(mask([value], ['<', encode(value), '>'])).toBe(`<${MASK}>`);
  });

  test.each([
    ['cat -v', 'clé-of-ä-door', 'clM-CM-)-of-M-CM-$-door'],
    ['quotemeta of Perl', 'clé of a door', 'cl\\Ã\\©\\ of\\ a\\ door'],
    ['a line that sed -n l breaks', 'hunter2000', 'hun\\\nter2000'],
    ['DNS', 'clé-of-a-door', 'cl\\195\\169-of-a-door'],
    ['Haskell', 'clé-€-door', 'cl\\233-\\8364-door'],
    ['YAML', 'a\u00a0b\u2028c\u0085d\u2029e', 'a\\_b\\Lc\\Nd\\Pe'],
    ['MySQL', 'door\x1a\x1akey', 'door\\Z\\Zkey'],
    ['a list of texts', 'clé', "['0x63', '0x6c', '0xc3', '0xa9']"],
    ['a list of texts in JSON', 'clé', '["63", "6c", "c3", "a9"]'],
  ])('finds what is written as by %s', (_, value, written) => {
    // The bytes of a character by themselves.
    const bytes = Buffer.from(written, written.includes('Ã') ? 'latin1' : 'utf8');
    const masked = mask([value], [bytes]);
    expect(masked).toContain(MASK);
    expect(masked).toMatch(/^[^a-z\d]*(0x)?\*\*\*[^a-z\d]*$/);
  });

  test('finds a value inside a longer base64 text at each of the three alignments', () => {
    const value = 'correct horse battery';
    for (const before of ['', 'a', 'ab', 'user:']) {
      for (const after of ['', 'x', 'xy', '@host/path']) {
        for (const encoding of ['base64', 'base64url'] as const) {
          const text = Buffer.from(before + value + after).toString(encoding);
          const masked = mask([value], [text]);
          expect(masked).toContain(MASK);
          // At most one group of four characters on each side can still hold bits of the value.
          const left = masked.split(MASK).join('');
          expect(left.length).toBeLessThanOrEqual(Math.ceil((before.length + after.length) / 3) * 4 + 8);
        }
      }
    }
  });

  test('finds long values in base64 that is wrapped at 76 or 64 columns', () => {
    const value = Array.from({ length: 300 }, (_, index) =>
      String.fromCharCode(33 + ((index * 7) % 90)),
    ).join('');
    for (const width of [76, 64]) {
      for (const end of ['\n', '\r\n']) {
        const text = (
          Buffer.from(value)
            .toString('base64')
            .match(new RegExp(`.{1,${width}}`, 'g')) ?? []
        ).join(end);
        expect(mask([value], [text])).toBe(MASK);
      }
    }
  });

  test('masks each long line of a value by itself, indented or not', () => {
    const value = '-----BEGIN KEY-----\n  AbCdEfGhIjKl\nMnOpQrStUvWx\n-----END KEY-----\n';
    expect(mask([value], ['x AbCdEfGhIjKl y\n', 'MnOpQrSt', 'UvWx'])).toBe(`x ${MASK} y\n${MASK}`);
  });

  test('masks the strings inside of a JSON value, and what a URL has for a password', () => {
    const document = JSON.stringify({
      type: 'oidc',
      db: [{ password: 'hunter2000', url: 'pg://u:p%40ss-word@h' }],
    });
    expect(mask([document], [document])).toBe(MASK);
    expect(mask([document], ['a hunter2000 b p@ss-word c p%40ss-word d oidc e u'])).toBe(
      `a ${MASK} b ${MASK} c ${MASK} d oidc e u`,
    );
    expect(mask(['postgres://app:correct/horse@db:5432/app'], ['x correct/horse app'])).toBe(`x ${MASK} app`);
    for (const other of [
      'https://example.com/a:b@c',
      'mailto:someone@example.com',
      '{ "not": json',
      '[1, null]',
    ]) {
      expect(mask([other], [`b@c someone not json ${other.slice(0, -1)} .`])).toBe(
        `b@c someone not json ${other.slice(0, -1)} .`,
      );
    }
  });

  test('leaves the line break after a value that ends in one', () => {
    expect(mask(['hunter2000\n'], ['hunter2000\nnext\n'])).toBe(`${MASK}\nnext\n`);
  });

  test('gives overlapping secrets one mask and neighbours one each', () => {
    expect(mask(['abcdef', 'defghi'], ['abc', 'defghi!'])).toBe(`${MASK}!`);
    expect(mask(['abcdef', 'defghi'], ['abcdef', 'defghi!'])).toBe(`${MASK}${MASK}!`);
  });

  test('does not touch values of fewer than four bytes', () => {
    expect(mask(['abc', ''], ['abcabc'])).toBe('abcabc');
  });
});

describe('a pause in the output', () => {
  function pausing(secrets: readonly string[]): {
    feed: (text: string) => string;
    pause: (all: boolean) => string;
    end: () => string;
  } {
    const stream = new Masker(secrets.map((value) => Buffer.from(value))).stream();
    return {
      feed: (text) => stream.write(Buffer.from(text)).toString(),
      pause: (all) => stream.release(all).toString(),
      end: () => stream.end().toString(),
    };
  }

  test('shows a prompt that ends as a secret begins', () => {
    const { feed, pause } = pausing(['> hidden']);
    expect(feed('name> ')).toBe('name');
    expect(pause(false)).toBe('> ');
  });

  test('never shows more than three characters of a secret that comes byte by byte', () => {
    const { feed, pause, end } = pausing(['hunter2000']);
    let shown = '';
    for (const char of 'hunter2000!') shown += feed(char) + pause(false);
    expect(shown + end()).toBe(`hun${MASK}!`);
  });

  test('ends the wait of a longer beginning with a mask, and masks its rest', () => {
    const { feed, pause } = pausing(['hunter2000']);
    expect(feed('x hunter')).toBe('x ');
    expect(pause(false)).toBe('');
    expect(pause(true)).toBe(MASK);
    expect(feed('2000')).toBe('');
    expect(feed('!')).toBe('!');
  });

  test('leaks nothing more than three characters, wherever the pauses are', () => {
    fc.assert(
      fc.property(
        secret,
        fc.array(fc.tuple(fc.nat({ max: 40 }), fc.boolean()), { maxLength: 12 }),
        (value, cuts) => {
          const bytes = Buffer.from(value);
          const whole = Buffer.concat([Buffer.from('<'), bytes, Buffer.from('>')]);
          const stream = new Masker([bytes]).stream();
          const out: Buffer[] = [];
          for (const chunk of cut(
            whole,
            cuts.map(([place]) => place),
          )) {
            out.push(stream.write(chunk), stream.release(cuts.length % 2 === 0));
          }
          const shown = Buffer.concat([...out, stream.end()]);
          // No run of four bytes of the value is in the output.
          const trimmed = bytes.toString('latin1').replace(/[\r\n]+$/, '');
          for (let at = 0; at + 4 <= trimmed.length; at += 1) {
            const piece = Buffer.from(trimmed.slice(at, at + 4), 'latin1');
            if (shown.includes(piece)) throw new Error(`shows ${JSON.stringify(piece.toString('latin1'))}`);
          }
        },
      ),
      { numRuns: sized(60, 400), seed: SEED },
    );
  });
});

describe('what masking costs', () => {
  test('holds no more than the longest form, however long the output is', () => {
    const stream = new Masker([Buffer.from('aaaa')]).stream();
    let out = 0;
    const chunk = Buffer.alloc(65_536, 'a');
    for (let index = 0; index < 64; index += 1) out += stream.write(chunk).length;
    // One mask for the whole run; nothing else is waiting.
    expect(out).toBe(MASK.length);
    expect(stream.end().toString()).toBe('');
  });

  test('a value of 64 KiB is masked whole', () => {
    const value = Buffer.from(Array.from({ length: 65_536 }, (_, index) => 33 + ((index * index) % 89)));
    const stream = new Masker([value]).stream();
    const text = Buffer.concat([
      Buffer.from('['),
      value,
      Buffer.from(']['),
      Buffer.from(value.toString('base64')),
      Buffer.from(']'),
    ]);
    const shown = Buffer.concat([stream.write(text), stream.end()]).toString();
    expect(shown).toBe(`[${MASK}][${MASK}]`);
  });

  test('a thousand values are looked for at once, in megabytes of output', () => {
    const random = fc.sample(fc.stringMatching(/^[A-Za-z0-9]{32}$/), { seed: SEED, numRuns: 1000 });
    const masker = new Masker(random.map((value) => Buffer.from(value)));
    const line = '2026-11-24T08:00:00Z INFO request 4711 done in 12 ms, user 93fa00e1, code 200\n';
    const chunk = Buffer.from(line.repeat(800) + (random[500] ?? ''));
    const stream = masker.stream();
    let out = 0;
    const chunks = sized(16, 80);
    for (let index = 0; index < chunks; index += 1) out += stream.write(chunk).length;
    expect(out + stream.end().length).toBe(chunks * (line.length * 800 + MASK.length));
  });

  test('too much secret text is refused with a way out', () => {
    expect(() => new Masker([Buffer.alloc(50, 'ab')], 50)).toThrow('too much secret text');
  });
});
