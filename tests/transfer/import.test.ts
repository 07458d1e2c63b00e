/** Files of others, imported through the program: taken whole and by their source text, or refused by line and name. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readSecrets } from '../../src/transfer/files.ts';
import { makePlace, type Place, problemsOf } from '../e2e/program.ts';

let place: Place;
beforeAll(async () => {
  place = await makePlace();
});
afterAll(() => place.remove());

async function imports(
  name: string,
  content: string,
  args = 'app',
): Promise<{ code: number; stderr: string; stdout: string }> {
  await writeFile(join(place.cwd, name), content);
  const outcome = await place.sh(`secrets import ${name} ${args}`);
  expect(problemsOf(outcome)).toEqual([]);
  return outcome;
}

const get = async (reference: string): Promise<string> => (await place.sh(`secrets get ${reference}`)).stdout;

test('scalars of YAML are their source text, and binary ones their bytes', async () => {
  const yaml = [
    'pin: 0042',
    'version: 1.10',
    'tag: 01443e5',
    'big: 1234567890123456789',
    'yes: yes',
    'flag: true',
    'quoted: "0042"',
    'typed: !!str 1.10',
    'blob: !!binary aGVs/w==',
    'nested: {pin: 0042, price: 1.10, list: [1e400, ~, "x"]}',
    'again: &a 0x1F',
    'alias: *a',
    '1.10: key',
  ];
  expect((await imports('many.yaml', yaml.join('\n'), 'many/')).code).toBe(0);
  const expected = {
    ...{ pin: '0042', version: '1.10', tag: '01443e5', big: '1234567890123456789', yes: 'yes', flag: 'true' },
    ...{ quoted: '0042', typed: '1.10', again: '0x1F', alias: '0x1F', '1.10': 'key' },
    nested: '{"pin":"0042","price":1.10,"list":[1e400,null,"x"]}',
  };
  for (const [key, value] of Object.entries(expected))
    expect([key, await get(`many/${key}`)]).toEqual([key, value]);
  expect((await place.sh('secrets get many/blob | od -An -tx1')).stdout.trim()).toBe('68 65 6c ff');
});

test('numbers of JSON and YAML keep their spelling among the keys of a secret', async () => {
  const json =
    '{"id":1234567890123456789,"rate":1.10,"a":1e400,"deep":{ "n": 0.10 },"text":"x","10":1,"2":2}';
  expect((await imports('one.json', json, 'one')).code).toBe(0);
  expect(await get('one')).toBe(
    '{"id":1234567890123456789,"rate":1.10,"a":1e400,"deep":{ "n": 0.10 },"text":"x","10":1,"2":2}',
  );
  expect((await imports('one.yaml', 'id: 12345678901234567890\npin: 0042\n', 'two')).code).toBe(0);
  expect(await get('two')).toBe('{"id":12345678901234567890,"pin":"0042"}');
});

test('the names that are taken are listed, in --json and --dry-run too', async () => {
  const dry = await imports('n.env', 'A=1\nB=2\n', 'names --dry-run');
  expect(dry.stdout).toMatch(/^create\t.*names\t.*takes A, B/m);
  const done = await imports('n.env', 'A=1\nB=2\n', 'names --json');
  expect(JSON.parse(done.stdout)).toMatchObject({ secrets: [{ action: 'created', names: ['A', 'B'] }] });
  const again = await imports('n.env', 'A=1\nB=2\n', 'names');
  expect(again.stdout).toMatch(/^same\t.*takes A, B/m);
  const many = await imports('n.env', 'A=1\nB=2\n', 'each/ --json');
  expect(JSON.parse(many.stdout)).toMatchObject({ secrets: [{ names: ['A'] }, { names: ['B'] }] });
});

test('names with control characters are shown without them', async () => {
  const outcome = await imports('c.json', '{"a\\u001b[31mb":"x"}', 'control');
  expect(outcome.code).toBe(0);
  expect(outcome.stdout).not.toContain('\u001b');
});

test('an env file that readers disagree about needs --dialect', async () => {
  const refused = await imports('d.env', 'DB_PASSWORD=p@ss#word\n', 'dialect');
  expect(refused).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/d\.env:1: DB_PASSWORD: .*--dialect/s),
  });
  expect((await imports('d.env', 'DB_PASSWORD=p@ss#word\n', 'dialect --dialect python')).code).toBe(0);
  expect(await get('dialect#DB_PASSWORD')).toBe('p@ss#word');
  expect((await imports('d.json', '{"A":"1"}', 'dialect --dialect python')).stderr).toMatch(
    /--dialect is for env files/,
  );
});

const SECRET = 'apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: eA==}\n';

test.each<[string, string, string, RegExp]>([
  [
    'a ConfigMap',
    'f.yaml',
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {A: "1"}\n',
    /f\.yaml:1: is a Kubernetes ConfigMap/,
  ],
  [
    'a ConfigMap beside a Secret',
    'f.yaml',
    `${SECRET}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n`,
    /f\.yaml:6: is a Kubernetes ConfigMap/,
  ],
  [
    'a ConfigMap in JSON',
    'f.json',
    '{"apiVersion":"v1","kind":"ConfigMap","data":{"A":"1"}}',
    /f\.json:1: is a Kubernetes ConfigMap/,
  ],
  [
    'a List with a Service',
    'f.yaml',
    'kind: List\nitems:\n- {kind: Secret, metadata: {name: s}}\n- {kind: Service, metadata: {name: x}}\n',
    /f\.yaml:4: is a Kubernetes Service/,
  ],
  [
    'a SealedSecret',
    'f.yaml',
    'apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nspec: {encryptedData: {A: AgB}}\n',
    /is a Kubernetes SealedSecret/,
  ],
  [
    'a sops file in YAML',
    'f.yaml',
    'a: ENC[AES256_GCM,data:x]\nsops: {mac: x, version: 3.9.0}\n',
    /is encrypted by sops/,
  ],
  [
    'a sops file in JSON',
    'f.json',
    '{"a":"ENC[AES256_GCM,data:x]","sops":{"mac":"x"}}',
    /is encrypted by sops/,
  ],
  ['a Secret that sops encrypted', 'f.yaml', `${SECRET}sops: {mac: x}\n`, /is encrypted by sops/],
  ['encrypted values', 'f.yaml', 'a: ok\nb: ENC[PKCS7,Y22exl]\n', /f\.yaml:2: has an encrypted value/],
  ['an Ansible Vault', 'f.yaml', '$ANSIBLE_VAULT;1.1;AES256\n6231\n', /is encrypted by Ansible Vault/],
  ['a tag of Ansible', 'f.yaml', 'ok: 1\na: !vault |\n  x\n', /f\.yaml:2: has a tag/],
  [
    'a Helm template',
    'f.yaml',
    'a: 1\npassword: {{ .Values.password | quote }}\n',
    /f\.yaml:2: is a Helm template/,
  ],
  [
    'a Helm template in quotes',
    'f.yaml',
    `${SECRET}stringData:\n  b: "{{ .Values.b }}"\n`,
    /f\.yaml:6: is a Helm template/,
  ],
  ['another template', 'f.yaml', 'a: {{ name }}\n', /may be a template/],
  ['a Compose file', 'f.yaml', 'services: {web: {image: x}}\n', /is a Compose file/],
  [
    'an answer of Vault',
    'f.json',
    '{"request_id":"1","lease_id":"","data":{"a":"x"}}',
    /is an answer of Vault/,
  ],
  [
    'a private key',
    'key.pem',
    '-----BEGIN PRIVATE KEY-----\nYWJj\n-----END PRIVATE KEY-----\n',
    /is a key or certificate/,
  ],
  ['an age file', 'f.age', '-----BEGIN AGE ENCRYPTED FILE-----\nYWJj\n', /is encrypted by age/],
  ['two documents', 'f.yaml', 'a: 1\n---\nb: 2\n', /f\.yaml:3: begins a second document/],
  ['a timestamp’s tag', 'f.yaml', 'a: !!timestamp 2001-01-01\n', /f\.yaml:1: has a tag/],
  ['a set', 'f.yaml', 'a: !!set {x, y}\n', /f\.yaml:1: has a tag/],
  ['a merge key', 'f.yaml', 'a: &x {b: 1}\nc:\n  <<: *x\n', /f\.yaml:3: has a merge key/],
  ['keys that are the same text', 'f.yaml', '1: a\n"1": b\n', /f\.yaml:2: .*DUPLICATE_KEY/],
  ['a key twice in JSON', 'f.json', '{"a":1,\n"a":2}', /the key "a" is there twice/],
  ['broken JSON', 'f.json', '{"a":1,\n"b":}', /f\.json:2: is not valid JSON: column 5/],
  ['an alias of itself', 'f.yaml', 'a: &x [*x]\n', /f\.yaml:1: has an alias/],
  ['an unknown alias', 'f.yaml', 'a: *x\n', /f\.yaml:1: /],
  ['half of a surrogate pair', 'f.json', '{"a":"\\ud800"}', /f\.json:1: has an unpaired surrogate/],
  ['bytes inside a value', 'f.yaml', 'a: {b: !!binary aGVsbG8=}\n', /f\.yaml:1: has !!binary inside a value/],
  ['no base64', 'f.yaml', 'a: !!binary "a"\n', /f\.yaml:1: has !!binary that is not base64/],
  [
    'a dotenvx file',
    '.env',
    'DOTENV_PUBLIC_KEY="02"\nA="encrypted:BDqDBibm4wsYqMpCjTQ6"\n',
    /\.env:1: is a dotenvx file/,
  ],
])('%s is refused', async (_, name, content, message) => {
  const reading = readSecrets(Buffer.from(content), name, {});
  await expect(reading).rejects.toMatchObject({ kind: 'Invalid', message: expect.stringMatching(message) });
});

test('a refusal is one line, and nothing is written', async () => {
  for (const target of ['refused', 'refused/']) {
    const outcome = await imports('f.yaml', 'ok: 1\nkind: ConfigMap\napiVersion: v1\n', target);
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr).toMatch(/^secrets: f\.yaml:1: is a Kubernetes ConfigMap, not a Secret; .*\n$/);
  }
  expect((await place.sh('secrets list refused')).stdout).not.toContain('refused');
});
