/** Grants in the real Vault: what a principal's own credential can do before, during and after. */
import { changeAccess } from '../../src/access/change.ts';
import type { AccessEdit, AccessWish } from '../../src/core/access/plan.ts';
import { VaultAccess } from '../../src/providers/vault/access.ts';
import { VaultClient } from '../../src/providers/vault/client.ts';
import { Engine } from '../../src/providers/vault/engine.ts';
import { describeWith } from '../backends/server.ts';
import { scenarioFiles } from '../backends/vault.ts';
import { contextFor } from '../contract/suite.ts';
import { failure, type Kit, now, startKit } from '../providers/vault/kit.ts';
import { sized } from '../size.ts';
import { generated } from './vault-policies.ts';

type Data = Record<string, unknown>;

describeWith('grants in vault', scenarioFiles, () => {
  let kit: Kit;
  let control: VaultAccess;

  /** An access control with this token; `pausing` is awaited before each write to such a path. */
  function controlWith(token: string, pausing?: (path: string) => Promise<void>): VaultAccess {
    const client = new VaultClient(
      {},
      contextFor({ VAULT_ADDR: kit.vault.url, VAULT_TOKEN: token }, kit.home),
    );
    const paused = new Proxy(client, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        const call = value.bind(target) as (...args: unknown[]) => Promise<unknown>;
        if (name !== 'write' && name !== 'delete') return call;
        return async (...args: unknown[]) => {
          await pausing?.(String(args[0]));
          return call(...args);
        };
      },
    });
    return new VaultAccess(new Engine(paused, {}), () => {});
  }

  async function signIn(path: string, body: object): Promise<string> {
    const made = await kit.vault.api('POST', path, body);
    return (made['auth'] as { client_token: string }).client_token;
  }

  const asUser = (name: string): Promise<string> =>
    signIn(`auth/userpass/login/${name}`, { password: 'p-1' });

  async function makeUser(name: string, policies: readonly string[] = []): Promise<void> {
    await kit.vault.api('POST', `auth/userpass/users/${name}`, { password: 'p-1', token_policies: policies });
  }

  async function asRole(name: string): Promise<string> {
    const role = await kit.vault.api('GET', `auth/approle/role/${name}/role-id`);
    const secret = await kit.vault.api('POST', `auth/approle/role/${name}/secret-id`, {});
    return signIn('auth/approle/login', {
      role_id: (role['data'] as Data)['role_id'],
      secret_id: (secret['data'] as Data)['secret_id'],
    });
  }

  /** What a token can do: read each secret, and anything else with the granted one. */
  async function readable(token: string): Promise<readonly string[]> {
    const found: string[] = [];
    for (const name of ['app/db', 'app/other', 'app/db2', 'app/db/deeper']) {
      const answer = await fetch(`${kit.vault.url}/v1/secret/data/${name}`, {
        headers: { 'X-Vault-Token': token },
      });
      if (answer.status === 200) found.push(name);
    }
    for (const [method, path] of [
      ['POST', 'secret/data/app/db'],
      ['GET', 'secret/metadata/app/db'],
      ['GET', 'secret/metadata/app?list=true'],
      ['DELETE', 'secret/data/app/db'],
    ] as const) {
      const answer = await fetch(`${kit.vault.url}/v1/${path}`, {
        method,
        headers: { 'X-Vault-Token': token },
        ...(method === 'POST' && { body: '{"data":{"v":"x"}}' }),
      });
      if (answer.status < 300) found.push(`${method} ${path}`);
    }
    return found;
  }

  const wish = (change: AccessWish['change'], principal: string, name = 'app/db'): AccessWish => ({
    change,
    name,
    principal,
  });
  const change = (...given: Parameters<typeof wish>) => changeAccess(control, wish(...given), now);

  /** Everything that grants could leave behind. */
  async function policiesOf(...paths: readonly string[]): Promise<unknown> {
    const names = async (path: string): Promise<unknown> =>
      kit.vault.api('GET', `${path}?list=true`).then(
        (body) => (body['data'] as Data)['keys'],
        () => [],
      );
    return [
      await names('sys/policies/acl'),
      await names('identity/group/name'),
      ...(await Promise.all(paths.map((path) => kit.vault.api('GET', path).then((body) => body['data'])))),
    ];
  }

  beforeAll(async () => {
    kit = await startKit();
    control = controlWith(kit.vault.token);
    await kit.vault.api('POST', 'sys/auth/approle', { type: 'approle' });
    await kit.vault.api('POST', 'sys/auth/userpass', { type: 'userpass' });
    for (const name of ['app/db', 'app/other', 'app/db2', 'app/db/deeper'])
      await kit.vault.api('POST', `secret/data/${name}`, { data: { v: name } });
    await kit.vault.api('POST', 'auth/approle/role/ci', {
      token_policies: ['zeta', 'alpha'],
      token_ttl: '1h',
    });
    await makeUser('alice');
  });
  afterAll(() => kit.stop());

  test('a role reads the granted secret and nothing else, and after the revocation nothing', async () => {
    const before = await policiesOf('auth/approle/role/ci');
    expect(await readable(await asRole('ci'))).toEqual([]);
    expect((await change('grant', 'role/ci')).principal).toBe('approle:ci');
    expect(await readable(await asRole('ci'))).toEqual(['app/db']);
    expect((await change('grant', 'approle:ci')).edits).toEqual([]);
    await change('revoke', 'approle:ci');
    expect(await readable(await asRole('ci'))).toEqual([]);
    expect(await policiesOf('auth/approle/role/ci')).toEqual(before);
    expect((await change('revoke', 'approle:ci')).edits).toEqual([]);
  });

  test('an entity’s and a group’s tokens gain and lose it at once, and their own settings stay', async () => {
    const token = await asUser('alice');
    const me = await fetch(`${kit.vault.url}/v1/auth/token/lookup-self`, {
      headers: { 'X-Vault-Token': token },
    });
    const { entity_id: id } = ((await me.json()) as { data: { entity_id: string } }).data;
    await kit.vault.api('POST', `identity/entity/id/${id}`, { name: 'alice', policies: ['own'] });
    await kit.vault.api('POST', 'identity/group', {
      name: 'team',
      policies: ['theirs'],
      member_entity_ids: [id],
    });
    for (const principal of ['entity:alice', 'group:team']) {
      const before = await policiesOf();
      await change('grant', principal);
      expect(await readable(token)).toEqual(['app/db']);
      await change('revoke', principal);
      expect(await readable(token)).toEqual([]);
      expect(await policiesOf()).toEqual(before);
    }
    const entity = (await kit.vault.api('GET', `identity/entity/id/${id}`))['data'] as Data;
    const team = (await kit.vault.api('GET', 'identity/group/name/team'))['data'] as Data;
    expect([entity['policies'], team['policies'], team['member_entity_ids']]).toEqual([
      ['own'],
      ['theirs'],
      [id],
    ]);
  });

  test('one grant says nothing about another: of secrets and of principals', async () => {
    await makeUser('bob');
    await change('grant', 'user:bob');
    await change('grant', 'user:bob', 'app/other');
    await change('grant', 'approle:ci');
    await change('revoke', 'user:bob');
    expect(await readable(await asUser('bob'))).toEqual(['app/other']);
    expect(await readable(await asRole('ci'))).toEqual(['app/db']);
    await change('revoke', 'user:bob', 'app/other');
    await change('revoke', 'approle:ci');
  });

  test('the case of a role or user doesn’t matter: what is granted is revoked', async () => {
    await makeUser('mixed');
    await kit.vault.api('POST', 'auth/approle/role/mixed', { token_policies: [] });
    for (const kind of ['userpass', 'approle']) {
      const before = await policiesOf();
      expect((await change('grant', `${kind}:Mixed`)).principal).toBe(`${kind}:mixed`);
      expect((await change('revoke', `${kind}:mIXED`)).edits).toHaveLength(2);
      expect(await policiesOf()).toEqual(before);
    }
    expect(await readable(await asUser('mixed'))).toEqual([]);
    expect(await readable(await asRole('mixed'))).toEqual([]);
  });

  test.each([
    ['*" { capabilities = ["create", "read", "update"]', 'would lose create, update, which the path secret/'],
    ['*" { capabilities = ["update"]', 'userpass:wide would lose update, which the path secret/data/app/*'],
    ['*" { capabilities = ["deny"]', 'denies this to userpass:wide, and a grant would overrule it'],
    ['db" { capabilities = ["deny"]', 'denies this to userpass:wide, and wins over any grant'],
    ['+" { capabilities = ["read"]\n min_wrapping_ttl = "1s"', 'asks userpass:wide for approval or wrapping'],
  ])('a grant that goes against what another rule says is refused: %s', async (rights, message) => {
    await kit.vault.api('PUT', 'sys/policies/acl/wide', {
      policy: `path "secret/data/app/${rights}\n}`,
    });
    await makeUser('wide', ['wide']);
    const before = [await policiesOf('auth/userpass/users/wide'), await readable(await asUser('wide'))];
    const refused = await failure(change('grant', 'user:wide'));
    expect([refused.kind, refused.message]).toEqual(['Conflict', expect.stringContaining(message)]);
    expect([await policiesOf('auth/userpass/users/wide'), await readable(await asUser('wide'))]).toEqual(
      before,
    );
  });

  test('a grant beside a wider rule that only reads takes nothing, and one whose policies are hidden says so', async () => {
    await kit.vault.api('PUT', 'sys/policies/acl/wide', {
      policy: 'path "secret/data/app/*" { capabilities = ["read", "list"] }',
    });
    await makeUser('wide', ['wide']);
    expect((await change('grant', 'user:wide')).notes).toHaveLength(1);
    await change('revoke', 'user:wide');
    const rights = ['sys/policies/acl/secrets-access-*', 'auth/userpass/users/*', 'secret/*']
      .map((path) => `path "${path}" { capabilities = ["create", "read", "update", "delete"] }`)
      .join('\n');
    await kit.vault.api('PUT', 'sys/policies/acl/grants', { policy: rights });
    await makeUser('granter', ['grants']);
    const plan = await changeAccess(controlWith(await asUser('granter')), wish('grant', 'user:wide'), now);
    expect(plan.notes).toContainEqual(expect.stringContaining('may not see the other policies'));
    await change('revoke', 'user:wide');
  });

  test('two grants at once to one role both hold', async () => {
    for (let round = 0; round < sized(3, 20); round += 1) {
      await makeUser(`twice-${round}`);
      let waiting = 0;
      let open = (): void => {};
      const bothAreThere = new Promise<void>((resolve) => (open = resolve));
      // Both have read the role's policies, and neither has written them.
      const gate = async (path: string): Promise<void> => {
        if (!path.startsWith('auth/userpass')) return;
        if ((waiting += 1) === 2) open();
        await bothAreThere;
      };
      await Promise.all(
        ['app/db', 'app/other'].map((name) =>
          changeAccess(controlWith(kit.vault.token, gate), wish('grant', `user:twice-${round}`, name), now),
        ),
      );
      expect(await readable(await asUser(`twice-${round}`))).toEqual(['app/db', 'app/other']);
    }
  });

  test('what somebody else made of a grant is not touched', async () => {
    await makeUser('carol');
    const { edits } = await change('grant', 'user:carol');
    const place = edits.find((edit) => edit.place.startsWith('sys/'))?.place as string;
    const { policy } = (await kit.vault.api('GET', place))['data'] as { policy: string };
    await kit.vault.api('PUT', place, { policy: `${policy}\npath "secret/*" { capabilities = ["read"] }` });
    const refused = await failure(change('revoke', 'user:carol'));
    expect([refused.kind, refused.message]).toEqual([
      'Conflict',
      expect.stringContaining('not as secrets wrote it'),
    ]);
    await kit.vault.api('PUT', place, { policy });
    await change('revoke', 'user:carol');
  });

  test('whoever would lock itself out is refused, and still has access', async () => {
    await makeUser('operator');
    await change('grant', 'user:operator');
    const rights = ['sys/policies/acl/*', 'auth/userpass/users/*', 'sys/capabilities-self']
      .map((path) => `path "${path}" { capabilities = ["create", "read", "update", "delete", "list"] }`)
      .join('\n');
    await kit.vault.api('PUT', 'sys/policies/acl/operates', { policy: rights });
    const user = (await kit.vault.api('GET', 'auth/userpass/users/operator'))['data'] as Data;
    await makeUser('operator', [...(user['token_policies'] as string[]), 'operates']);
    const own = controlWith(await asUser('operator'));
    const before = await policiesOf('auth/userpass/users/operator');
    const refused = await failure(changeAccess(own, wish('revoke', 'user:operator'), now));
    expect([refused.kind, refused.message]).toEqual([
      'Policy',
      expect.stringContaining('the change was undone'),
    ]);
    expect(await policiesOf('auth/userpass/users/operator')).toEqual(before);
    expect(await readable(await asUser('operator'))).toEqual(['app/db']);
  });

  test.each([
    ['approle:cy', 'NotFound', 'did you mean approle/ci?'],
    ['entity:alic', 'NotFound', 'did you mean entity/alice?'],
    ['aprole:ci', 'Usage', 'did you mean approle:ci?'],
    ['alice', 'Usage', 'such as approle:ci'],
    ['user:../../sys/policies', 'Usage', 'such as approle:ci'],
    ['user:..', 'Usage', 'such as approle:ci'],
    ['*', 'Usage', 'such as approle:ci'],
  ])('%s is no principal: %s', async (principal, kind, hint) => {
    const before = await policiesOf();
    const refused = await failure(change('grant', principal));
    expect([refused.kind, refused.hint]).toEqual([kind, expect.stringContaining(hint)]);
    expect(await policiesOf()).toEqual(before);
  });

  test.each(['app/*', 'app/a*', 'a{{identity.entity.name}}', 'a${x}', 'app/+/db'])(
    'a name that a policy takes for a pattern is refused: %s',
    async (name) => {
      expect((await failure(change('grant', 'user:alice', name))).kind).toBe('Unsupported');
    },
  );

  test('a name with quotes and backslashes stays one name', async () => {
    const name = 'app/a"b\\c';
    await kit.vault.api('POST', `secret/data/${encodeURIComponent(name)}`, { data: { v: '1' } });
    await makeUser('quoter');
    await change('grant', 'user:quoter', name);
    const answer = await fetch(`${kit.vault.url}/v1/secret/data/${encodeURIComponent(name)}`, {
      headers: { 'X-Vault-Token': await asUser('quoter') },
    });
    expect(answer.status).toBe(200);
    expect((await change('grant', 'user:quoter', name)).edits).toEqual([]);
    await change('revoke', 'user:quoter', name);
  });

  test('list shows each grant with its principal, and one that nobody has', async () => {
    await makeUser('dave');
    const { edits } = await change('grant', 'user:dave');
    const listed = await control.list('app/db', now());
    expect(listed.filter(({ ours }) => ours).map(({ principal }) => principal)).toContain('userpass:dave');
    await makeUser('dave', []);
    const [entry] = (await control.list(undefined, now())).filter(
      ({ principal }) => principal === 'userpass:dave',
    );
    expect(entry).toEqual(
      expect.objectContaining({ secret: 'app/db', idle: 'it is not assigned to anybody' }),
    );
    await change('revoke', 'user:dave');
    expect(edits.length).toBe(2);
    expect(
      (await control.list(undefined, now())).filter(({ principal }) => principal === 'userpass:dave'),
    ).toEqual([]);
  });

  test('list believes no policy that only says that it is a grant', async () => {
    await makeUser('eve', []);
    const { edits } = await change('grant', 'user:eve');
    const { place, after: policy = '' } = edits.find((edit) => edit.place.startsWith('sys/')) as AccessEdit;
    await kit.vault.api('PUT', 'sys/policies/acl/secrets-access-0-0', { policy });
    const ours = async (name?: string) =>
      (await control.list(name, now())).filter((one) => one.principal === 'userpass:eve');
    expect([(await ours()).length, (await ours('app/db')).length]).toEqual([1, 1]);
    await kit.vault.api('PUT', place, { policy: policy.replace('["read"]', '["read", "update"]') });
    expect([await ours(), await ours('app/db')]).toEqual([[], []]);
    const listed = (await control.list('app/db', now())).map(({ principal }) => principal);
    expect(listed).toContain(place.replace('sys/policies/acl/', 'policy '));
    await kit.vault.api('PUT', place, { policy });
    await kit.vault.api('DELETE', 'sys/policies/acl/secrets-access-0-0');
    await change('revoke', 'user:eve');
  });

  test.each([
    'path "/secret/data/app/db" { capabilities = ["deny"] }',
    'path "secret/data/app/d\\u0062" { capabilities = ["deny"] }',
    'path "secret/data/app/d\\x62" { capabilities = ["deny"] }',
    'path "secret/data/app/d\\142" { capabilities = ["deny"] }',
    '"path" "secret/data/app/db" { "capabilities" = ["deny"] }',
    '{"path":{"/secret/data/app/db":{"capabilities":["deny"]}}}',
  ])('check sees a denial however it is written: %s', async (policy) => {
    await kit.vault.api('PUT', 'sys/policies/acl/spelt', { policy });
    await kit.vault.api('PUT', 'sys/policies/acl/all', {
      policy: 'path "secret/data/*" { capabilities = ["read"] }',
    });
    await makeUser('spelt', ['all', 'spelt']);
    expect((await control.check('app/db', 'user:spelt', now())).verdict).toBe('denied');
    const answer = await fetch(`${kit.vault.url}/v1/secret/data/app/db`, {
      headers: { 'X-Vault-Token': await asUser('spelt') },
    });
    expect(answer.status).toBe(403);
  });

  test('check agrees with what Vault then does, over generated policies', async () => {
    const verdicts = new Map<string, number>();
    for (let round = 0; round < sized(25, 200); round += 1) {
      const policies = generated(round);
      const names: string[] = [];
      for (const [index, policy] of policies.entries()) {
        const name = `generated-${round}-${index}`;
        names.push(name);
        await kit.vault.api('PUT', `sys/policies/acl/${name}`, { policy });
      }
      await kit.vault.api('POST', 'auth/userpass/users/checked', { password: 'p-1', token_policies: names });
      const { verdict, why } = await control.check('app/db', 'user:checked', now());
      const answer = await fetch(`${kit.vault.url}/v1/secret/data/app/db`, {
        headers: { 'X-Vault-Token': await asUser('checked') },
      });
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
      if (verdict !== 'unknown')
        expect({ round, policies, why, verdict }).toEqual({
          ...{ round, policies, why },
          verdict: answer.status === 200 ? 'allowed' : 'denied',
        });
      for (const name of names) await kit.vault.api('DELETE', `sys/policies/acl/${name}`);
    }
    for (const verdict of ['allowed', 'denied'])
      expect(verdicts.get(verdict) ?? 0).toBeGreaterThan(sized(3, 40));
    expect(verdicts.get('unknown') ?? 0).toBeLessThan(sized(10, 60));
  });
});
