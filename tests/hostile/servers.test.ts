/** Servers that mean harm, and the built program in front of them: five seconds, no stack, no control characters. */
import { makePlace, type Place, problemsOf, UNSAFE } from '../e2e/program.ts';
import { sized, startOf } from '../size.ts';
import { type Listener, startListener } from './listener.ts';

let place: Place;
beforeEach(async () => {
  place = await makePlace();
});
afterEach(() => place.remove());

/** What a Vault that means harm answers. */
const ANSWERS: readonly { readonly title: string; readonly status?: number; readonly body: string }[] = [
  {
    title: 'an error with escape sequences',
    status: 400,
    body: JSON.stringify({ errors: ['\u001b[2J\u001b]0;owned\u0007 \u009b31m \u202e'] }),
  },
  { title: 'a warning with escape sequences', body: JSON.stringify({ warnings: ['\u001b[2J'], data: null }) },
  { title: 'an error of 10 MB', status: 500, body: JSON.stringify({ errors: ['e'.repeat(10_000_000)] }) },
  {
    title: 'errors without end',
    status: 400,
    body: JSON.stringify({ errors: Array.from({ length: 100_000 }, () => 'no') }),
  },
  { title: 'no JSON', body: '<html>\u001b[31m' },
  { title: 'no JSON as an error', status: 502, body: '<html>\u001b[31m' },
  { title: 'nothing', body: '' },
  { title: 'null', body: 'null' },
  { title: 'a number', body: '1e999' },
  { title: 'lists nested 1,000,000 deep', body: '['.repeat(1_000_000) },
  {
    title: 'closed lists nested 100,000 deep',
    body: `{"data":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
  },
  {
    title: 'data of the wrong types',
    body: JSON.stringify({ data: { keys: { a: 1 }, data: ['x'], metadata: 'x', versions: [], options: 7 } }),
  },
  { title: 'keys of the wrong types', body: JSON.stringify({ data: { keys: [null, 1, {}, ['a'], true] } }) },
  {
    title: 'names with escape sequences',
    body: JSON.stringify({
      data: {
        keys: ['a\u001b[31m', 'b\u009b2J', 'c\u202ed', 'e\nf', '../../etc/passwd', '__proto__', '\ud800'],
      },
    }),
  },
  { title: 'a name of 10 MB', body: JSON.stringify({ data: { keys: ['n'.repeat(10_000_000)] } }) },
  { title: 'folders in folders without end', body: JSON.stringify({ data: { keys: ['deeper/'] } }) },
  // So much work that memory is collected meanwhile: the deadline has to outlive that.
  { title: 'ever more folders', body: JSON.stringify({ data: { keys: ['a/', 'b/', 'c/'] } }) },
  { title: 'the folder itself', body: JSON.stringify({ data: { keys: ['/', './', '../', ''] } }) },
  {
    title: 'a secret with __proto__ in it',
    body: '{"data":{"data":{"__proto__":{"polluted":1},"value":"v"},"metadata":{"version":1,"__proto__":{"x":1},"custom_metadata":{"__proto__":"x","l\\u001b[31m":"\\u009b"}},"versions":{"__proto__":{},"1":{}},"keys":["__proto__"]}}',
  },
];

/** What something that stands in for AWS Secrets Manager answers. */
const AWS_ANSWERS: typeof ANSWERS = [
  {
    title: 'an error with escape sequences',
    status: 400,
    body: JSON.stringify({
      __type: 'InvalidRequestException\u001b[31m',
      message: '\u001b[2J \u009b31m \u202e',
    }),
  },
  {
    title: 'an error of 10 MB',
    status: 400,
    body: JSON.stringify({ __type: 'X', message: 'e'.repeat(10_000_000) }),
  },
  { title: 'no JSON', body: '<html>\u001b[31m' },
  { title: 'nothing', body: '' },
  { title: 'lists nested 1,000,000 deep', body: '['.repeat(1_000_000) },
  {
    title: 'names with escape sequences',
    body: JSON.stringify({
      SecretList: [
        { Name: 'a\u001b[31m', ARN: '\u009b' },
        { Name: 'b\u202e', Tags: [{ Key: '\u001b', Value: '\u009b' }] },
      ],
    }),
  },
  { title: 'a name of 10 MB', body: JSON.stringify({ SecretList: [{ Name: 'n'.repeat(10_000_000) }] }) },
  { title: 'pages without end', body: JSON.stringify({ SecretList: [], NextToken: 'more' }) },
  {
    title: 'wrong types',
    body: JSON.stringify({
      SecretList: { a: 1 },
      SecretString: ['x'],
      VersionStages: 'x',
      CreatedDate: 'x',
      Versions: 7,
    }),
  },
  {
    title: 'a secret with __proto__ in it',
    body: '{"Name":"a","VersionId":"v","SecretString":"{\\"__proto__\\":{\\"x\\":1}}","VersionStages":["AWSCURRENT","__proto__"],"__proto__":{"x":1}}',
  },
];

/** What the mount of an honest server says, so that the questions after it are asked. */
const MOUNT = { request_id: '1', data: { type: 'kv', path: 'secret/', options: { version: '2' } } };

/** With what every answer of Vault has in it. */
function asVault(body: string): string {
  return body.startsWith('{') ? `{"request_id":"1",${body.slice(1)}` : body;
}

describe('a server that answers with', () => {
  let listener: Listener;
  let answer: { readonly status: number; readonly body: string } = { status: 200, body: '' };
  beforeAll(async () => {
    listener = await startListener((path) =>
      path.startsWith('/v1/sys/internal/ui/mounts/') ? { status: 200, body: JSON.stringify(MOUNT) } : answer,
    );
  });
  afterAll(() => listener.stop());

  let turn = startOf(8);
  const ask = async (store: string, env: Readonly<Record<string, string>>): Promise<void> => {
    const lines = [
      `get ${store}://a`,
      `get ${store}://a --metadata`,
      `list ${store}://`,
      `list ${store}:// --long`,
      `history ${store}://a`,
      `put ${store}://a <<< v`,
      `doctor ${store}`,
      `exec --from ${store}://a -- true`,
    ];
    // Of a small run, each answer is given to some of them, by turns.
    turn += 1;
    for (const line of lines.filter((_, index) => (index + turn) % sized(8, 1) === 0)) {
      const before = listener.connections();
      const outcome = await place.within(
        `secrets ${line.replace(/( <<<| --from|$)/, ' --timeout 2s$1')}`,
        env,
      );
      expect({ line, problems: problemsOf(outcome) }).toEqual({ line, problems: [] });
      // `get` gives a value byte for byte, and JSON is tested with the rest of it.
      if (!line.startsWith('get')) expect(outcome.stdout).not.toMatch(UNSAFE);
      expect(outcome.stdout + outcome.stderr).not.toContain('canary');
      expect(listener.connections()).toBeGreaterThan(before);
    }
  };

  test.each(ANSWERS)(
    'Vault: $title',
    async ({ status = 200, body }) => {
      answer = { status, body: asVault(body) };
      await ask('vault', { VAULT_ADDR: listener.url, VAULT_TOKEN: 'canary-token' });
    },
    300_000,
  );

  test.each(AWS_ANSWERS)(
    'AWS: $title',
    async ({ status = 200, body }) => {
      answer = { status, body };
      await ask('aws', {
        AWS_ENDPOINT_URL: listener.url,
        AWS_REGION: 'eu-west-1',
        AWS_ACCESS_KEY_ID: 'canary-id',
        AWS_SECRET_ACCESS_KEY: 'canary-key',
      });
    },
    300_000,
  );

  test('names with escape sequences: --json is the same document without them', async () => {
    answer = { status: 200, body: asVault(JSON.stringify({ data: { keys: ['b\u009b2J', 'c\u202ed'] } })) };
    const { stdout } = await place.within('secrets list vault:// --json --timeout 2s', {
      VAULT_ADDR: listener.url,
      VAULT_TOKEN: 'canary-token',
    });
    expect(stdout).not.toMatch(UNSAFE);
    const names = stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { name: string }).name);
    expect(names).toEqual(['b\u009b2J', 'c\u202ed']);
  });
});
