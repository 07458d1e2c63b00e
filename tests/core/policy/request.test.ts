/** What Cedar is asked about: the chain above a secret, listings, other spellings, and where policies stand in a file. */
import { chainOf, entitiesOf, listedPrefix } from '../../../src/core/policy/request.ts';
import { fromByteOffset, positionAt, splitPolicies } from '../../../src/core/policy/source.ts';
import { spellingsOf } from '../../../src/core/policy/spelling.ts';

const local = { store: 'local', provider: 'local' };
const idsOf = (name: string | undefined, action: 'read' | 'list' = 'read'): readonly string[] =>
  chainOf({ ...local, name }, action).map(({ type, id }) => `${type} ${id}`);

test.each([
  ['a', ['Secret local://a', 'Store local']],
  ['a/b/c', ['Secret local://a/b/c', 'Prefix local://a/b/', 'Prefix local://a/', 'Store local']],
  ['/a', ['Secret local:///a', 'Prefix local:///', 'Store local']],
  ['a//b', ['Secret local://a//b', 'Prefix local://a//', 'Prefix local://a/', 'Store local']],
  ['a/', ['Secret local://a/', 'Prefix local://a/', 'Store local']],
  [undefined, ['Store local']],
])('%s is contained in its prefixes and its store', (name, ids) => {
  expect(idsOf(name)).toEqual(ids);
});

test('a listing is about the part up to the last slash, and never about a secret', () => {
  expect(['app/', 'app/d', 'a/b/c', 'app', '', undefined].map(listedPrefix)).toEqual([
    'app/',
    'app/',
    'a/b/',
    undefined,
    undefined,
    undefined,
  ]);
  expect(idsOf('a/b/', 'list')).toEqual(['Prefix local://a/b/', 'Prefix local://a/', 'Store local']);
});

test('the entities are linked from the secret up, and from the user to the groups', () => {
  const entities = entitiesOf({
    principal: { id: 'ann', uid: 7, groups: ['dev', 'gid:100'] },
    action: 'read',
    resource: { ...local, name: 'a/b', labels: { env: 'test' } },
    circumstances: { command: 'get', ci: false, terminal: false, hour: 1, weekday: 1, host: 'h' },
  });
  const parents = Object.fromEntries(
    entities.map((entity) => [`${entity.uid.type} ${entity.uid.id}`, entity.parents.map(({ id }) => id)]),
  );
  expect(parents).toEqual({
    'User ann': ['dev', 'gid:100'],
    'Group dev': [],
    'Group gid:100': [],
    'Secret local://a/b': ['local://a/'],
    'Prefix local://a/': ['local'],
    'Store local': [],
  });
  expect(entities.find(({ uid }) => uid.type === 'Secret')?.tags).toEqual({ env: 'test' });
});

describe('spellings', () => {
  const spell = (
    provider: string,
    name: string,
    settings: Readonly<Record<string, string>> = {},
    native?: Readonly<Record<string, string | boolean | null>>,
  ): readonly string[] =>
    spellingsOf({ store: 'prod', provider, name, settings, native }).map(
      (one) => `${one.store}://${one.name}`,
    );

  test('Key Vault ignores case, unless names are mapped', () => {
    expect(spell('azure', 'DB-Pass')).toEqual(['prod://db-pass']);
    expect(spell('azure', 'DB/Pass', { names: 'mapped' })).toEqual(['prod://DB/Pass']);
    expect(spell('vault', 'DB')).toEqual(['prod://DB']);
  });

  test('an ARN is decided as the name in it, with and without what AWS appends, in its account as well', () => {
    const place = 'arn:aws:secretsmanager:eu-central-1:123456789012';
    const arn = `${place}:secret:app/db-AbCdEf`;
    expect(spell('aws', arn, {}, { region: 'eu-central-1', prefix: null, arn: true })).toEqual([
      'prod://app/db-AbCdEf',
      'prod://app/db',
      `${place}://app/db-AbCdEf`,
      `${place}://app/db`,
    ]);
  });

  test('a native identifier of the store’s own project is no other place', () => {
    const native = { project: 'p1', location: null, prefix: null };
    expect(spell('gcp', 'db', { project: 'p1' }, native)).toEqual(['prod://db']);
    expect(spell('gcp', 'db', { project: 'p2' }, native)).toEqual(['prod://db', 'gcp:p1://db']);
    expect(spell('gcp', 'db', { project: 'p1', prefix: 'x-' }, native)).toEqual(['prod://db', 'gcp:p1://db']);
  });

  test('a native identifier names the secret that a reference to the store names', () => {
    const place = 'arn:aws:secretsmanager:eu-central-1:123456789012';
    const native = { region: 'eu-central-1', prefix: null, arn: true };
    expect(spell('aws', `${place}:secret:app/db`, { prefix: 'app/' }, native)).toEqual([
      'prod://db',
      `${place}://app/db`,
    ]);
    const inProject = { project: 'p1', location: null, prefix: null };
    expect(spell('gcp', 'x-db', { project: 'p1', prefix: 'x-' }, inProject)).toEqual([
      'prod://db',
      'gcp:p1://x-db',
    ]);
    const inVault = { vault: 'https://Team.vault.azure.net', cloud: 'public', names: 'plain' };
    expect(spell('azure', 'Prod--db', { vault: 'team', names: 'mapped' }, inVault)).toEqual([
      'prod://prod/db',
      'azure:https://team.vault.azure.net:public://prod--db',
    ]);
  });

  test('a name after a prefix that begins an ARN may end as an ARN', () => {
    const prefix = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:app/';
    expect(spell('aws', 'db-AbCdEf', { prefix })).toEqual(['prod://db-AbCdEf', 'prod://db']);
  });
});

test('policies end at semicolons that are neither in a string nor in a comment', () => {
  const source =
    '// a; b\n@note("x\\";y") permit(principal, action, resource); // c;\n\n  forbid ("//;");rest';
  expect(splitPolicies(source).map(({ text }) => text)).toEqual([
    '@note("x\\";y") permit(principal, action, resource);',
    'forbid ("//;");',
    'rest',
  ]);
  const [, second] = splitPolicies(source);
  expect(positionAt(source, second?.start ?? 0)).toEqual({ line: 4, column: 3 });
});

test.each(['\n', '\r', '\r\n'])('a comment ends with its line, which %j ends', (end) => {
  const source = `// a${end}forbid ("x"); // b${end}permit (); // c`;
  expect(splitPolicies(source).map(({ text }) => text)).toEqual(['forbid ("x");', 'permit ();']);
});

test('offsets in UTF-8 are found in the text', () => {
  const text = 'ü💡x';
  expect(fromByteOffset(text, 6)).toBe(text.indexOf('x'));
});
