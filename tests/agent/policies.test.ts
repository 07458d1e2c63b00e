/** The agent asks the policies for its clients: through both doors, for what it remembers too, and after a change. */
import { rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { shortOf } from '../audit/program.ts';
import { program, testNeeding } from '../needs.ts';
import { type AgentPlace, makeAgentPlace } from './kit.ts';

let place: AgentPlace;
beforeEach(async () => {
  place = await makeAgentPlace();
  await place.sh(
    'mkdir -pm 700 "$HOME/.config/secrets"; for n in app/a prod/b; do printf $n | secrets put $n; done',
  );
});
afterEach(() => place.remove());

const policy = (text: string): string => {
  const path = join(place.home, '.config/secrets/secrets.policy.cedar');
  writeFileSync(path, text);
  return path;
};
const recorded = async (work: () => Promise<unknown>): Promise<readonly string[]> => {
  const before = place.records().length;
  await work();
  return place
    .records()
    .slice(before)
    .map((record) => [shortOf(record), ...(record.policies ?? [])].join(' '));
};
const curl = testNeeding(program('curl'));
const VAULT = 'curl -s -o /dev/null -w "%{http_code} " -H "X-Vault-Token: $VAULT_TOKEN"';
const read = (name: string): string => `${VAULT} "$VAULT_ADDR/v1/local/data/${name}"`;

curl('a client that speaks Vault is a principal of its own, of the user whose agent it is', async () => {
  policy(`
    @id("me") permit (principal == User::"${userInfo().username}", action, resource);
    @id("clients") permit (principal is Client, action == Action::"read", resource in Prefix::"local://app/");
  `);
  const script = [
    read('app/a'),
    read('prod/b'),
    `${VAULT} "$VAULT_ADDR/v1/local/metadata/app?list=true"`,
    `${VAULT} "$VAULT_ADDR/v1/local/metadata/app/a"`,
  ].join('; ');
  let printed = '';
  const records = await recorded(async () => {
    ({ stdout: printed } = await place.sh(`secrets agent run -- sh -c '${script}'`));
  });
  expect(printed.trim()).toBe('200 403 403 403');
  expect(records).toEqual([
    'read local://app/a allowed user:clients',
    'read local://prod/b denied Policy',
    'list local://app/ denied Policy',
    'describe local://app/a denied Policy',
  ]);
});

curl('a changed, broken or removed file counts at once, for values in memory as well', async () => {
  const all = '@id("all") permit (principal, action, resource);';
  const path = policy(all);
  const file = (text: string): string => `printf %s '${text}' > '${path}'`;
  const script = [
    read('app/a'),
    file(`${all} @id("no") forbid (principal, action == Action::"read", resource);`),
    read('app/a'),
    file('permit (principal'),
    read('app/a'),
    file(all),
    read('app/a'),
    `chmod o+w '${path}'`,
    read('app/a'),
    `rm '${path}'`,
    read('app/a'),
  ];
  writeFileSync(join(place.cwd, 'script'), script.join('\n'));
  const { stdout, stderr } = await place.sh('secrets agent run -- sh script');
  expect({ stdout: stdout.trim(), stderr }).toEqual({ stdout: '200 403 403 200 403 200', stderr: '' });
});

test('the user’s own command is refused by the command itself, and by the agent', async () => {
  await place.start();
  const path = policy('@id("app") permit (principal, action, resource in Prefix::"local://app/");');
  const records = await recorded(async () => {
    expect((await place.sh('secrets get app/a')).stdout).toBe('app/a');
    expect(await place.sh('secrets get prod/b')).toMatchObject({ code: 8, stdout: '' });
  });
  expect(records).toEqual(['read local://app/a allowed user:app', 'read local://prod/b denied Policy']);
  rmSync(path);
  expect((await place.sh('secrets get prod/b')).stdout).toBe('prod/b');
});
