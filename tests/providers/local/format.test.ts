/** docs/local-store.md and the program agree: its test vector opens, and what the program writes has its form. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makePlace, type Place, ROOT } from '../../e2e/program.ts';
import { entriesOf, makeStore, STORE } from './place.ts';

describe('the documented format', () => {
  let place: Place;
  afterEach(() => place.remove());

  test('has a test vector, which the program reads', async () => {
    place = await makePlace();
    const page = readFileSync(join(ROOT, 'docs/local-store.md'), 'utf8');
    const vector = page.slice(page.indexOf('A test vector'));
    const files = [...vector.matchAll(/^`([^`]+)`[^`]*```(json)?\n([^`]+)\n```$/gm)];
    expect(files.length).toBe(3);
    for (const [, name, json, text] of files) {
      const path = join(place.home, STORE, name as string);
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      writeFileSync(path, json === undefined ? Buffer.from(text as string, 'base64') : `${text}\n`);
    }
    const env = { SECRETS_PASSPHRASE: 'caf\u00e9 vector' };
    expect((await place.sh('secrets get demo/db', env)).stdout).toBe('second value');
    expect((await place.sh('secrets get "demo/db?version=1"', env)).stdout).toBe('first value');
    const { stdout } = await place.sh('secrets list --long --json; secrets history demo/db', env);
    for (const word of ['the demo database', '"team":"pay"', 'ann']) expect(stdout).toContain(word);
  });

  test('is what the program writes: names, modes, and nothing readable', async () => {
    place = await makeStore({ 'Payments/DB': 'c4nary value' });
    const store = join(place.home, STORE);
    await place.sh('printf x | secrets put Payments/DB --label l4bel=l4bel --description d3scription');
    const files = entriesOf(store);
    expect(files.length).toBe(2);
    for (const file of files) {
      expect(file.slice(store.length)).toMatch(
        /^\/secrets\/[0-9a-f]{40}\/\d{10}-\d{14}-[0-9a-f]{32}\.sealed$/,
      );
      expect(readFileSync(file).subarray(0, 4).toString()).toBe('SLE1');
      expect(statSync(file).mode & 0o777).toBe(0o600);
    }
    const hidden = await place.sh(
      `find ${store} | grep -Eic 'payments|c4nary|l4bel'; grep -rEil 'payments|c4nary|l4bel|d3scription' ${store}`,
    );
    expect(hidden.stdout).toBe('0\n');
    expect((await place.sh(`find ${store} ${store} -perm /077`)).stdout).toBe('');
  });

  test('names folders after secrets where the store says so, the longest names too', async () => {
    place = await makePlace();
    const config =
      'stores:\n  open: { provider: local, path: open, names: visible, key: { method: key-file } }\n';
    writeFileSync(join(place.cwd, 'secrets.yaml'), config);
    const long = `x/${'Y'.repeat(1022)}`;
    await place.sh(
      `for name in DB/url ${long}; do printf "is $name" | secrets put --quiet --trust "open://$name"; done`,
    );
    const folders = entriesOf(join(place.cwd, 'open')).map((file) => dirname(file).replace(/.*\//, ''));
    const [short, cut] = folders.toSorted((one, other) => one.length - other.length);
    expect(short).toBe('%44%42%2furl');
    expect(cut).toMatch(/^x%2f(%59)+%?5?%~[0-9a-f]{40}$/);
    expect(cut?.length).toBe(200);
    expect((await place.sh(`secrets get --trust open://${long}`)).stdout).toBe(`is ${long}`);
    expect((await place.sh('secrets list --trust open://DB/')).stdout).toContain('DB/url');
  });
});
