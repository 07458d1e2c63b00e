/** The built program: `agent run`, and `agent start --vault`, with docs/agent-vault.md as it is printed. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { Agent, createServer, request, type Server } from 'node:http';
import { join } from 'node:path';
import { ROOT } from '../../e2e/program.ts';
import { program, testNeeding } from '../../needs.ts';
import { type AgentPlace, makeAgentPlace } from '../kit.ts';
import { ask, type Reply } from './kit.ts';

const CANARY = 'canary-c04a19';
const page = readFileSync(join(ROOT, 'docs/agent-vault.md'), 'utf8');
const CURL = `curl -s -H "X-Vault-Token: $VAULT_TOKEN" "$VAULT_ADDR/v1/secret/data/app"`;

let place: AgentPlace;
beforeEach(async () => {
  place = await makeAgentPlace();
});
afterEach(() => place.remove());

const sh: AgentPlace['sh'] = (script, env = {}) =>
  place.sh(script, { SECRETS_LOCAL_KEY_METHOD: 'key-file', ...env });

async function putCanary(): Promise<void> {
  const put = await sh(`printf ${CANARY} | secrets put --quiet local://app`);
  expect(put).toEqual({ code: 0, stdout: '', stderr: '' });
}

const curl = testNeeding(program('curl'));

curl('the first example of the page works as printed', async () => {
  const [, example = ''] = /```sh\n([^]*?)```/.exec(page) ?? [];
  expect(example).toContain('secrets agent run --');
  const { code, stdout, stderr } = await sh(`set -e\n${example}`);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toMatchObject({ data: { data: { value: 's3cret' } } });
});

describe('agent run', () => {
  curl('gives the program an address and a token, which end with it', async () => {
    await putCanary();
    const { code, stdout } = await sh(
      `secrets agent run -- sh -c '${CURL}; echo; echo "$VAULT_ADDR $VAULT_TOKEN"; exit 7'`,
    );
    const [answer = '', variables = ''] = stdout.split('\n').filter((line) => line !== '');
    const [address = '', token = ''] = variables.split(' ');
    expect([code, answer.includes(CANARY)]).toEqual([7, true]);
    expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    await expect(ask(address, '/v1/secret/data/app', { token })).rejects.toThrow('ECONNREFUSED');
  });

  curl('records each read with its program and the accessor of its token', async () => {
    await putCanary();
    const { stdout: token } = await sh(
      `secrets agent run --reason 'release 7' -- sh -c '${CURL} -A tester/1 >&2; printf %s "$VAULT_TOKEN"'`,
    );
    const [read] = place.records().filter((record) => 'action' in record && record.action === 'read');
    const text = JSON.stringify(read);
    expect(read).toMatchObject({ store: 'local', secret: 'app', outcome: 'allowed', reason: 'release 7' });
    expect(text).toMatch(/vault: tester\/1, token \w{24}"/);
    const log = readFileSync(join(place.home, '.local/state/secrets/audit/audit.jsonl'), 'utf8');
    expect([log.includes(token), log.includes(CANARY)]).toEqual([false, false]);
  });

  curl('records what its token is not for', async () => {
    await putCanary();
    await sh(`secrets agent run --read local://other -- sh -c '${CURL}'`);
    expect(place.records().at(-1)).toMatchObject({
      ...{ action: 'read', store: 'local', secret: 'app', outcome: 'denied', error: 'Policy' },
      client: expect.stringMatching(/^vault: curl.*, token \w{24}$/) as string,
    });
  });

  test('passes on no credential of its own, and nothing that sends Vault’s clients elsewhere', async () => {
    const { code, stdout } = await sh('secrets agent run -- env', {
      VAULT_ADDR: 'http://127.0.0.1:1',
      VAULT_TOKEN: 'hvs.upstream',
      VAULT_NAMESPACE: 'team',
      VAULT_AGENT_ADDR: 'http://127.0.0.1:2',
      BAO_ADDR: 'http://127.0.0.1:1',
      AWS_SECRET_ACCESS_KEY: 'upstream',
      http_proxy: 'http://proxy.example.com',
      no_proxy: 'example.org',
      PLAIN: 'kept',
    });
    expect(code).toBe(0);
    expect(stdout).not.toMatch(/upstream|127\.0\.0\.1:[12]$|^VAULT_NAMESPACE|^VAULT_AGENT_ADDR|^BAO_/m);
    expect(stdout).toMatch(/^PLAIN=kept$/m);
    expect(stdout).toMatch(/^no_proxy=example\.org,127\.0\.0\.1$/m);
  });

  test.each([
    ['a program that is not there', 'secrets agent run -- nowhere', 127, 'was not found'],
    [
      'what is no reference',
      'secrets agent run --read nonsense -- true',
      125,
      'is not a reference of a store',
    ],
    ['a store that is not there', 'secrets agent run --read other://x/ -- true', 125, 'other'],
    ['an option that is not there', 'secrets agent run --nonsense -- true', 125, 'nonsense'],
    ['a signal', `secrets agent run -- sh -c 'kill -TERM $$'`, 143, ''],
  ])('%s', async (_, line, code, message) => {
    const outcome = await sh(line);
    expect([outcome.code, outcome.stdout]).toEqual([code, '']);
    expect(outcome.stderr).toContain(message);
    expect(outcome.stderr.split('\n').filter((text) => text !== '').length).toBe(message === '' ? 0 : 1);
  });

  curl('limits reads to --read, and writes to --write', async () => {
    await putCanary();
    const write = `curl -s -o /dev/null -w '%{http_code} ' -X POST -H "X-Vault-Token: $VAULT_TOKEN" -d '{"data":{"a":"b"}}' "$VAULT_ADDR/v1/local/data`;
    const { stdout } = await sh(
      `cat >script <<'END'
${CURL} -o /dev/null -w '%{http_code} '
${write}/new/a"
${write}/app"
END
secrets agent run --read local://new/ --write local://new/ -- sh script
secrets get local://new/a#a`,
    );
    expect(stdout).toMatch(/^403 200 403 b/);
  });
});

describe('agent start --vault', () => {
  test('serves programs with the token of its file, and cleans up', async () => {
    await putCanary();
    const file = join(place.home, '.vault-token');
    const env = { SECRETS_LOCAL_KEY_METHOD: 'key-file' };
    const agent = await place.start(env, '--vault', '127.0.0.1:0', '--token-file', file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const token = readFileSync(file, 'utf8');
    const status = await sh('secrets agent status --json');
    const [, door] = (JSON.parse(status.stdout) as { doors: readonly { address: string }[] }).doors;
    const reply = await ask(door?.address ?? '', '/v1/secret/data/app', { token });
    expect([reply.status, reply.body.includes(CANARY)]).toEqual([200, true]);
    expect(status.stdout).not.toContain(token);
    const shown = await sh('secrets agent status');
    expect(shown.stdout).toContain(`, 1 token, token file ${file}\n`);
    expect((await sh('secrets agent stop')).code).toBe(0);
    await agent.ended;
    expect([existsSync(file), agent.output().includes(token)]).toEqual([false, false]);
  });

  test('starts in the background, and says if an agent without it is there', async () => {
    await putCanary();
    const line = 'secrets agent start --detach --vault 127.0.0.1:0 --token-file token --json';
    const { code, stdout } = await sh(line);
    const { doors } = JSON.parse(stdout) as { doors: readonly { address: string }[] };
    const token = readFileSync(join(place.cwd, 'token'), 'utf8');
    const reply = await ask(doors[1]?.address ?? '', '/v1/local/data/app', { token });
    expect([code, reply.status]).toEqual([0, 200]);
    expect((await sh(line)).code).toBe(0);
    const flags = '--vault unix://$PWD/v.sock --token-file other --read local://app --write local://app';
    const other = await sh(`secrets agent start --detach ${flags}`);
    expect([other.code, other.stderr]).toEqual([
      5,
      'secrets: an agent with another --vault and another --token-file and other --read and other --write is running ' +
        'already; run secrets agent stop, and start it again\n',
    ]);
    await sh('secrets agent stop && secrets agent start --detach');
    const again = await sh(line);
    await sh('secrets agent stop');
    expect([again.code, again.stderr]).toEqual([5, expect.stringContaining('without the Vault API')]);
  });

  test.each([
    ['an address of the network', '--vault 0.0.0.0:8200 --token-file t', 'loopback'],
    ['no place for the token', '--vault 127.0.0.1:0', 'needs --token-file'],
    ['a token file without the API', '--token-file t', 'need --vault'],
    [
      'the file in which a store finds its own token',
      '--vault 127.0.0.1:0 --token-file ~/.vault-token',
      '--token-file is where the store team finds its own token; choose another path',
    ],
    ['a life that is too long', '--vault 127.0.0.1:0 --token-file t --token-ttl 25h', '24h'],
  ])('refuses %s', async (_, flags, message) => {
    const config =
      'mkdir -p ~/.config/secrets && echo "stores: { team: { provider: vault } }" > ~/.config/secrets/secrets.yaml';
    const { code, stderr } = await sh(`${config} && secrets agent start ${flags}`);
    expect([code, stderr.includes(message), existsSync(join(place.cwd, 't'))]).toEqual([2, true, false]);
  });
});

describe('before a store that counts its calls', () => {
  let upstream: Server;
  let calls: number;
  let broken: boolean;

  beforeEach(async () => {
    calls = 0;
    broken = false;
    // As much of Vault as a read asks for.
    upstream = createServer((message, response) => {
      const isRead = message.url?.startsWith('/v1/secret/data/') === true;
      if (isRead) calls += 1;
      const mount = { path: 'secret/', type: 'kv', options: { version: '2' } };
      const secret = { data: { k: CANARY }, metadata: { version: 3, created_time: '2026-01-02T03:04:05Z' } };
      const body = broken ? { errors: ['away'] } : { request_id: 'x', data: isRead ? secret : mount };
      setTimeout(() => {
        response.writeHead(broken ? 503 : 200, { 'Content-Type': 'application/json' });
        response.end(JSON.stringify(body));
      }, 300);
    });
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    upstream.closeAllConnections();
    upstream.close();
  });

  const start = async (
    ...flags: readonly string[]
  ): Promise<(count: number) => Promise<readonly Reply[]>> => {
    const { port } = upstream.address() as { port: number };
    const env = { VAULT_ADDR: `http://127.0.0.1:${port}`, VAULT_TOKEN: 'x' };
    const file = join(place.root, 'token');
    await place.start(env, '--vault', '127.0.0.1:0', '--token-file', file, ...flags);
    const token = readFileSync(file, 'utf8');
    const { stdout } = await place.sh('secrets agent status --json');
    const [, door] = (JSON.parse(stdout) as { doors: readonly { address: string }[] }).doors;
    const agent = new Agent({ keepAlive: true, maxSockets: 1000 });
    const once = (): Promise<Reply> =>
      new Promise((resolve, reject) => {
        const url = `${door?.address ?? ''}/v1/vault/data/app`;
        const sent = request(url, { agent, headers: { 'X-Vault-Token': token } }, (response) => {
          let body = '';
          response.on('data', (chunk: Buffer) => (body += chunk.toString()));
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
          );
        });
        sent.on('error', reject);
        sent.end();
      });
    return (count) => Promise.all(Array.from({ length: count }, once));
  };

  test('a thousand clients that ask at once cost one call', async () => {
    const ask = await start();
    const replies = await ask(1000);
    expect(replies.filter(({ status, body }) => status === 200 && body.includes(CANARY))).toHaveLength(1000);
    expect(calls).toBe(1);
    // Each of them is in the log.
    expect(place.records().filter((record) => JSON.stringify(record).includes('vault: '))).toHaveLength(1000);
  }, 120_000);

  test('a store that goes away is answered for, with its age, and asked again when it is back', async () => {
    const ask = await start('--fresh', '1s', '--ttl', '10m');
    await ask(1);
    broken = true;
    await new Promise((resolve) => setTimeout(resolve, 1200));
    const [stale] = await ask(1);
    expect([
      stale?.status,
      stale?.body.includes('"warnings":["the store did not answer; this value was read '),
    ]).toEqual([200, true]);
    broken = false;
    const end = Date.now() + 60_000;
    let [again] = await ask(1);
    while (again?.body.includes('did not answer') === true && Date.now() < end) [again] = await ask(1);
    expect(again?.body).toContain('"warnings":null');
  }, 120_000);
});
