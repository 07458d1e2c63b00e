/** The test vector of docs/local-store.md opens, and the keys on the way to it are those of the page. */
import { createDecipheriv, hkdfSync, scryptSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../e2e/program.ts';
import { readStore } from './independent-reader.mjs';

describe('the independent reader', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'secrets-reader-'));
  });
  afterEach(() => rmSync(home, { recursive: true }));

  test('reads the page’s test vector', async () => {
    const page = readFileSync(join(ROOT, 'docs/local-store.md'), 'utf8').split('## 12.')[1] as string;
    const manifest = /```json\n(.*?)```/s.exec(page)?.[1] as string;
    const vector = join(home, 'vector');
    mkdirSync(vector, { mode: 0o700 });
    writeFileSync(join(vector, 'manifest-0000000001.json'), manifest);
    for (const [, path, text] of page.matchAll(
      /`(secrets\/[^`]+\.sealed)`,\s+in base64:\s+```\n(.*?)```/gs,
    )) {
      mkdirSync(join(vector, path as string, '..'), { recursive: true });
      writeFileSync(join(vector, path as string), Buffer.from(text as string, 'base64'));
    }
    const { secrets, damaged } = await readStore(vector, { passphrase: 'cafe\u0301 vector' });
    expect(damaged).toEqual([]);
    expect([...secrets.keys()]).toEqual(['demo/db']);
    expect(secrets.get('demo/db')).toMatchObject({
      labels: { team: 'pay' },
      description: 'the demo database',
      versions: [
        { id: '2', stages: ['current'], by: 'ann', value: Buffer.from('second value') },
        { id: '1', stages: ['previous'], by: 'ann', value: Buffer.from('first value') },
      ],
    });
    await expect(readStore(vector, { passphrase: 'cafe vector' })).rejects.toMatchObject({
      code: 'not-authenticated',
    });
  });

  test('reads a test vector whose keys on the way are those of the page', () => {
    const page = readFileSync(join(ROOT, 'docs/local-store.md'), 'utf8').split('## 12.')[1] as string;
    const manifest = JSON.parse(/```json\n(.*?)```/s.exec(page)?.[1] as string) as {
      store: string;
      key: { id: string; wrapped: string; salt: string };
      sealed: string;
    };
    const { store, key, sealed } = manifest;
    const ids = [...page.matchAll(/-([0-9a-f]{32})\.sealed/g)].map(([, id]) => id as string);
    const unbox = (by: Buffer, text: string, ...bound: string[]): Buffer => {
      const box = Buffer.from(text, 'base64');
      const decipher = createDecipheriv('aes-256-gcm', by, box.subarray(0, 12));
      decipher.setAAD(Buffer.from(bound.join('\0'))).setAuthTag(box.subarray(-16));
      return Buffer.concat([decipher.update(box.subarray(12, -16)), decipher.final()]);
    };
    const kek = scryptSync('caf\u00e9 vector', Buffer.from(key.salt, 'base64'), 32, {
      ...{ N: 131_072, r: 8, p: 1 },
      maxmem: 2 ** 28,
    });
    const dataKey = unbox(kek, key.wrapped, 'secrets-local/1/key', store, key.id, 'passphrase');
    const derive = (salt: string, use: string): Buffer =>
      Buffer.from(hkdfSync('sha256', dataKey, Buffer.from(salt, 'hex'), `secrets-local/1/${use}`, 32));
    const manifestKey = derive(store, 'manifest');
    const bound = [store, '1', 'hidden', key.id, 'passphrase', key.wrapped, key.salt, ''];
    const plain = unbox(manifestKey, sealed, 'secrets-local/1/manifest', '1', ...bound);
    const { nameKey } = JSON.parse(plain.toString()) as { nameKey: string };
    const told = [...page.matchAll(/^\| [^|]+ \| `([0-9a-f]{64})` \|$/gm)].map(([, hex]) => hex);
    expect(told).toEqual(
      [
        kek,
        dataKey,
        manifestKey,
        Buffer.from(nameKey, 'base64'),
        ...ids.map((id) => derive(id, 'event')),
      ].map((bytes) => bytes.toString('hex')),
    );
  });
});
