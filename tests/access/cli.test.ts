/** The commands about access, as a user runs them: output, exit codes, schemas, records. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { canonicalJson, sha256 } from '../../src/core/audit/chain.ts';
import { accessesIn, logOf } from '../audit/program.ts';
import { describeWith } from '../backends/server.ts';
import { scenarioFiles, startVault, type Vault } from '../backends/vault.ts';
import { makePlace, type Outcome, type Place, ROOT } from '../e2e/program.ts';
import { sampled } from '../size.ts';

interface Edit {
  readonly place: string;
  readonly before: string | null;
  readonly after: string | null;
}

const PRINCIPALS = ['approle:deploy', 'user:alice', 'group:team', 'entity:zoe'];
const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
addFormats.default(ajv);

describeWith('access', scenarioFiles, () => {
  let place: Place;
  let vault: Vault;
  let env: Readonly<Record<string, string>>;
  const run = (line: string, more = {}): Promise<Outcome> => place.sh(line, { ...env, ...more });

  beforeAll(async () => {
    [place, vault] = await Promise.all([makePlace(), startVault()]);
    env = { VAULT_ADDR: vault.url, VAULT_TOKEN: vault.token };
    await vault.api('POST', 'sys/auth/approle', { type: 'approle' });
    await vault.api('POST', 'sys/auth/userpass', { type: 'userpass' });
    for (const name of ['deploy', 'billing'])
      await vault.api('POST', `auth/approle/role/${name}`, {
        token_policies: name === 'deploy' ? ['deploys'] : [],
      });
    await vault.api('POST', 'auth/userpass/users/alice', { password: 'p-1' });
    await vault.api('POST', 'identity/group', { name: 'team' });
    for (const name of ['payments/db', 'payments/stripe', 'staging/db'])
      await vault.api('POST', `secret/data/${name}`, { data: { password: 'of-the-secret' } });
    await place.sh(`printf 'stores: { prod: { provider: vault } }' > "$HOME/s.yaml"`);
    env = { ...env, SECRETS_CONFIG: join(place.home, 's.yaml') };
  });
  afterAll(async () => {
    await vault.stop();
    await place.remove();
  });

  async function json(command: string, line: string, exit = 0): Promise<unknown> {
    const { stdout, stderr, code } = await run(`secrets ${line} --json`);
    expect({ line, code, stderr }).toEqual({ line, code: exit, stderr: '' });
    const file = join(ROOT, `schemas/output/${command}.schema.json`);
    const validate = ajv.getSchema(command) ?? ajv.compile(JSON.parse(readFileSync(file, 'utf8')) as object);
    const found: unknown = JSON.parse(stdout);
    await validate(found);
    expect({ found, errors: validate.errors ?? null }).toEqual({ found, errors: null });
    return found;
  }

  test('--json is as its schemas say, and a dry run says what the change then does', async () => {
    const would = (await json('access-grant', 'access grant user:alice prod://payments/db --dry-run')) as {
      readonly edits: readonly Edit[];
    };
    expect(await json('access-list', 'access list prod://')).toEqual([]);
    const did = await json('access-grant', 'access grant user:alice prod://payments/db');
    expect({ ...(did as object), dryRun: true }).toEqual(would);
    expect(await json('access-list', 'access list prod://payments/db')).toEqual([
      expect.objectContaining({ principal: 'userpass:alice', grantedBySecrets: true }),
    ]);
    expect(await json('access-check', 'access check user:alice prod://payments/db')).toMatchObject({
      ...{ verdict: 'allowed', by: 'policies' },
    });
    expect(await json('access-check', 'access check self prod://payments/db')).toMatchObject({
      ...{ verdict: 'allowed', by: 'service' },
    });
    expect(await json('access-grant', 'access grant user:alice prod://payments/db')).toMatchObject({
      ...{ changed: false, edits: [] },
    });
    const back = (await json('access-revoke', 'access revoke user:alice prod://payments/db')) as typeof would;
    expect(back.edits.toReversed()).toEqual(
      would.edits.map(({ place: at, before, after }) => ({ place: at, before: after, after: before })),
    );
    await json('access-check', 'access check user:alice prod://payments/db', 1);
  });

  test('each change is recorded with what it changed, by hash; a dry run changed nothing', async () => {
    const before = accessesIn(logOf(place)).length;
    await run('secrets access grant user:alice prod://payments/db --dry-run');
    const granted = (await json(
      'access-grant',
      'access grant user:alice prod://payments/db --reason ticket',
    )) as {
      readonly edits: readonly Edit[];
    };
    await run('secrets access revoke user:alice prod://payments/db');
    const records = accessesIn(logOf(place)).slice(before);
    const changes = records.filter(({ action }) => action === 'access');
    const digest = (side: 'before' | 'after'): string =>
      sha256(canonicalJson(granted.edits.map((edit) => [edit.place, edit[side]])));
    expect(changes.map(({ outcome, reason, grant, secret }) => ({ outcome, reason, grant, secret }))).toEqual(
      [
        {
          outcome: 'allowed',
          reason: 'ticket',
          secret: 'payments/db',
          grant: {
            ...{ change: 'grant', principal: 'userpass:alice' },
            ...{ before: digest('before'), after: digest('after') },
          },
        },
        {
          outcome: 'allowed',
          reason: undefined,
          secret: 'payments/db',
          grant: {
            ...{ change: 'revoke', principal: 'userpass:alice' },
            ...{ before: expect.any(String) as string, after: expect.any(String) as string },
          },
        },
      ],
    );
    const schema = JSON.parse(readFileSync(join(ROOT, 'schemas/audit-record.schema.json'), 'utf8')) as object;
    const validate = ajv.compile(schema);
    for (const record of records) expect([validate(record), validate.errors]).toEqual([true, null]);
  });

  test('what Vault refuses is recorded as denied, with whose access was asked for', async () => {
    const made = await vault.api('POST', 'auth/token/create', { policies: ['default'] });
    const { client_token: token } = made['auth'] as { readonly client_token: string };
    const { code } = await run('secrets access grant user:alice prod://payments/db', { VAULT_TOKEN: token });
    expect(code).toBe(4);
    expect(accessesIn(logOf(place)).at(-1)).toMatchObject({
      ...{ action: 'access', outcome: 'denied', secret: 'payments/db' },
      grant: { change: 'grant', principal: 'user:alice' },
    });
  });

  test('the rights on the page are enough to grant and revoke, and none of them is to spare', async () => {
    const text = readFileSync(join(ROOT, 'docs/access.md'), 'utf8');
    const rules = (/^```hcl\n([\s\S]*?)^```/m.exec(text)?.[1] ?? '').trimEnd().split('\n');
    const entity = await vault.api('POST', 'identity/entity', { name: 'zoe' });
    expect(entity).toBeDefined();
    const refusal = async (policy: string): Promise<string> => {
      // Something in the mount, so that Vault tells the version of its engine.
      const some = 'path "secret/data/something" { capabilities = ["read"] }';
      await vault.api('PUT', 'sys/policies/acl/operates', { policy: `${policy}\n${some}` });
      const made = await vault.api('POST', 'auth/token/create', { policies: ['operates'] });
      const { client_token: token } = made['auth'] as { readonly client_token: string };
      for (const principal of PRINCIPALS)
        for (const verb of ['grant', 'revoke']) {
          const { code, stderr } = await run(`secrets access ${verb} ${principal} prod://payments/stripe`, {
            VAULT_TOKEN: token,
          });
          if (code !== 0) return stderr;
        }
      return '';
    };
    expect(rules.length).toBeGreaterThan(5);
    expect(await refusal(rules.join('\n'))).toBe('');
    for (const rule of sampled(rules, 3))
      expect([rule, await refusal(rules.filter((other) => other !== rule).join('\n'))]).toEqual([
        rule,
        expect.stringMatching(/not allowed|denied/),
      ]);
    // A grant or a revocation that lacked a right has stopped half-way.
    for (const principal of PRINCIPALS)
      await run(`secrets access revoke ${principal} prod://payments/stripe`);
    expect(await json('access-list', 'access list prod://')).toEqual([]);
  });

  test.each([
    ['access grant user:alice prod://payments/db --broad', 2, '--broad needs a reason'],
    ['access grant user:alice prod://payments/db --for 8h', 2, 'Vault has no grants that end by themselves'],
    ['access grant user:alice prod://payments/db --for tomorrow', 2, '"tomorrow" is not a duration'],
    ['access grant user:alise prod://payments/db', 3, 'did you mean userpass/alice?'],
    ['access grant user:alice prod://payments/db#password', 2, 'this command works on whole secrets'],
    ['access grant user:alice local://a', 2, 'access isn’t available for local stores yet'],
    ['access list local://', 2, 'access isn’t available for local stores yet'],
    ['access check user:alice azure://a --store x', 2, 'only Azure’s own vaults have role assignments'],
  ])('secrets %s: exit %i', async (line, exit, message) => {
    const { code, stderr, stdout } = await run(`secrets ${line}`, {
      AZURE_KEYVAULT_URL: 'https://a.vault.azure.net',
    });
    expect({ code, stdout, lines: stderr.trimEnd().split('\n').length }).toEqual({
      ...{ code: exit, stdout: '', lines: 1 },
    });
    expect(stderr).toContain(message);
  });

  const page = readFileSync(join(ROOT, 'docs/access.md'), 'utf8');
  const steps = [...page.matchAll(/^```console\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((step) => step.split('\n')),
  );

  test('the page has examples', () => {
    expect(steps.length).toBeGreaterThan(8);
  });

  test.each(steps.map(([line = '', ...output]) => ({ line, output })))(
    'docs/access.md: $line',
    async ({ line, output }) => {
      const { stdout, stderr, code } = await run(line);
      const exit = /^exit (\d+)$/.exec(output.at(-2) ?? '')?.[1];
      const lines = exit === undefined ? output : output.toSpliced(-2, 1);
      expect({ code, stderr, stdout: stdout.replaceAll(/(?<=secrets-access-)[0-9a-f-]+/g, '…') }).toEqual({
        ...{ code: Number(exit ?? 0), stderr: '', stdout: lines.join('\n') },
      });
    },
  );
});
