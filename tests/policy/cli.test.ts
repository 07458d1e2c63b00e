/** secrets policy init|check|test|explain|list, as the built program. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { commands } from '../../src/commands/index.ts';
import { readLine } from '../../src/commands/policy/explain.ts';
import { makePlace, type Place, ROOT } from '../e2e/program.ts';

let place: Place;
beforeEach(async () => {
  place = await makePlace();
  write('secrets.yaml', '{}');
});
afterEach(() => place.remove());

const me = userInfo().username;
const write = (name: string, text: string): void => writeFileSync(join(place.cwd, name), text);
const read = (name: string): string => readFileSync(join(place.cwd, name), 'utf8');

describe('init', () => {
  test('the roles do what they are called', async () => {
    const roles = ['reader', 'writer', 'rotator', 'auditor', 'admin'];
    const flags = roles.map((role) => `--${role} user:${role}=local://app/`).join(' ');
    expect(await place.sh(`secrets policy init ${flags}`)).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(statSync(join(place.cwd, 'secrets.policy.cedar')).mode & 0o022).toBe(0);
    const expected: Readonly<Record<string, readonly string[]>> = {
      reader: ['read', 'inject', 'describe', 'list'],
      writer: ['write', 'delete', 'restore', 'describe', 'list'],
      rotator: ['rotate', 'inject', 'describe', 'list'],
      auditor: ['describe', 'list'],
      admin: ['read', 'inject', 'list', 'describe', 'write', 'delete', 'restore', 'purge', 'rotate', 'grant'],
    };
    const actions = expected['admin'] ?? [];
    const cases = roles.flatMap((role) =>
      actions.flatMap((action) => {
        const expect = expected[role]?.includes(action) === true ? 'allow' : 'deny';
        const one = { user: role, action, expect };
        const below = action === 'list' ? 'local://app/' : 'local://app/db';
        const beside = action === 'list' ? 'local://application/' : 'local://application/db';
        return [
          { ...one, resource: below },
          { ...one, resource: beside, expect: 'deny' },
        ];
      }),
    );
    write('secrets.policy.test.yaml', JSON.stringify({ cases }, null, 1));
    const { stdout } = await place.sh('secrets policy test --json');
    expect(JSON.parse(stdout)).toEqual({ cases: cases.length, failures: [], untested: [] });
  });

  test('without roles the user becomes the admin of the default store', async () => {
    expect((await place.sh('secrets policy init; printf v | secrets put a; secrets get a')).stdout).toBe('v');
    expect(read('secrets.policy.cedar')).toContain(`principal == User::"${me}"`);
    expect((await place.sh('secrets policy explain list vault://')).code).toBe(8);
  });

  test('an existing file stays as it is, and --dry-run writes none', async () => {
    const { stdout } = await place.sh('secrets policy init --auditor group:a=local:// --dry-run');
    expect(stdout).toContain('principal in Group::"a"');
    expect((await place.sh('secrets policy check')).stdout).toBe('');
    write('secrets.policy.cedar', '// mine\n');
    expect(await place.sh('secrets policy init')).toMatchObject({ code: 5, stdout: '' });
    expect(read('secrets.policy.cedar')).toBe('// mine\n');
  });

  test('--user writes the user’s own; without a secrets.yaml there is no place for another', async () => {
    const elsewhere = 'mkdir ../e; cd ../e; ';
    expect(await place.sh(`${elsewhere} secrets policy init`)).toMatchObject({ code: 3 });
    expect((await place.sh('cd ../e; secrets policy init --user; secrets policy list')).stdout).toMatch(
      /^user\tpermit\tadmin-\S+\tStore::"local"\t\S+\/\.config\/secrets\/secrets\.policy\.cedar:\d+\n$/,
    );
  });

  test.each([
    ['dev=local://a/', 'is not WHO=WHERE'],
    ['grup:dev=local://a/', 'did you mean group?'],
    ['user:x=a/', 'the place needs its store'],
    ['user:x=LOCAL://a', 'a store has lower-case letters'],
  ])('%s: %s', async (wish, why) => {
    const { code, stderr } = await place.sh(`secrets policy init --reader '${wish}'`);
    expect([code, stderr]).toEqual([2, expect.stringContaining(why) as string]);
  });

  test('names with quotes and backslashes stay names', async () => {
    const { stdout } = await place.sh(`secrets policy init --reader 'user:a"\\b=local://x"y/' --dry-run`);
    expect(stdout).toContain(String.raw`User::"a\"\\b"`);
    expect(stdout).toContain(String.raw`Prefix::"local://x\"y/"`);
  });
});

describe('check', () => {
  test('names file, line and column, and the nearest name', async () => {
    write(
      'p.cedar',
      'permit (principal, action == Action::"raed", resource);\n\n  forbid (principal, action, resource in Prefix::"lcal://a/");\n',
    );
    expect(await place.sh('secrets policy check p.cedar')).toEqual({
      code: 8,
      stdout:
        'p.cedar:1:30: error: unrecognized action `Action::"raed"`; did you mean `Action::"read"`?\n' +
        'p.cedar:3:50: warning: no store here is named lcal; did you mean local?\n',
      stderr: '',
    });
  });

  test('warns of a name that Azure never has', async () => {
    write('secrets.yaml', 'stores: { kv: { provider: azure, vault: x } }');
    write('p.cedar', 'permit (principal, action, resource == Secret::"kv://DB");');
    expect(await place.sh('secrets policy check p.cedar')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^p\.cedar:1:48: warning: this never matches/) as string,
    });
  });

  test('of the files in use also says who may write them', async () => {
    write('secrets.policy.cedar', 'permit (principal, action, resource);');
    expect(await place.sh('chmod o+w secrets.policy.cedar; secrets policy check')).toMatchObject({
      code: 8,
      stdout: expect.stringMatching(/error: .*somebody else may write it/) as string,
    });
  });
});

describe('test', () => {
  beforeEach(() => write('secrets.policy.cedar', '@id("p") permit (principal, action, resource);'));

  test('a case that is decided otherwise is named, with line and reason', async () => {
    write(
      'secrets.policy.test.yaml',
      'cases:\n  - { user: a, action: read, resource: "local://x", expect: allow, by: q }\n' +
        '  - name: nobody\n    action: read\n    resource: local://x\n    expect: deny\n',
    );
    const { code, stdout } = await place.sh('secrets policy test');
    const file = join(place.cwd, 'secrets.policy.test.yaml');
    expect([code, stdout.replaceAll(file, 'F')]).toEqual([
      1,
      'F:2: a read local://x: decided allow, but not by q (by p)\n' +
        'F:3: nobody: expected deny, decided allow (by p)\n',
    ]);
  });

  test.each([
    ['cases: [{ user: a, acton: read }]', /:1: no case has the key acton; did you mean action\?/],
    ['cases:\n  - action: raed\n    resource: local://a\n    expect: allow', /:2: action is not /],
    ['cases:\n  - action: read\n    resource: a\n    expect: allow', /:2: the resource needs its store/],
    ['cases:\n  - action: read\n    resource: local://a', /:2: expect is missing/],
    // Cases that pass whatever the policy says.
    ['cases: []', /:1: cases is empty/],
    [
      'cases: [{ action: read, resource: "local://", expect: deny }]',
      /:1: read is for one secret: local:\/\/ is a store/,
    ],
    [
      'cases: [{ action: read, resource: local://app/, expect: deny }]',
      /:1: read is for one secret: local:\/\/app\/ is a prefix/,
    ],
    ['cases: [{ action: rekey, resource: local://app, expect: deny }]', /:1: rekey is for a store: STORE/],
    [
      'cases: [{ action: read, resource: local://a, client: vualt, expect: deny }]',
      /:1: client is not vault/,
    ],
    [
      'cases: [{ action: read, resource: local://a, context: { hour: 24 }, expect: deny }]',
      /:1: hour is not a whole number from 0 to 23/,
    ],
    ['x: 1', /:1: /],
    ['cases: [*a]', /:1: /],
  ])('%j is refused', async (text, message) => {
    write('c.yaml', text);
    const { code, stderr } = await place.sh('secrets policy test c.yaml');
    expect([code, stderr]).toEqual([2, expect.stringMatching(message) as string]);
  });
});

test('a case is about the resource that the call would be decided for', async () => {
  write(
    'secrets.policy.cedar',
    '@id("p") permit (principal, action, resource in Store::"azure");\n' +
      '@id("f") forbid (principal, action, resource == Secret::"azure://db");\n',
  );
  write(
    'c.yaml',
    'cases:\n' +
      '  - { action: read, resource: azure://DB, expect: deny, by: f }\n' +
      '  - { action: list, resource: azure://app, expect: allow }\n' +
      '  - { action: read, resource: azrue://DB, expect: deny }\n',
  );
  expect(await place.sh('secrets policy test c.yaml')).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/c.yaml:4: no store here is named azrue; did you mean azure\?/) as string,
  });
});

describe('list', () => {
  test('--unused shows the permits that allowed nothing since then', async () => {
    await place.sh('printf v | secrets put a');
    write(
      'secrets.policy.cedar',
      '@id("reads") permit (principal, action == Action::"read", resource);\n' +
        '@id("purges") permit (principal, action == Action::"purge", resource);\n' +
        '@id("no") forbid (principal, action == Action::"delete", resource);\n',
    );
    expect(
      (await place.sh('secrets get a; secrets delete a; secrets purge a --yes --dry-run')).stdout,
    ).toContain('v');
    const unused = async (since: string): Promise<readonly string[]> => {
      const { stdout, stderr } = await place.sh(`secrets policy list --unused ${since} --json`);
      expect(stderr).toMatch(/the audit log begins at 2\S+, after that time/);
      return (JSON.parse(stdout) as { id: string }[]).map(({ id }) => id);
    };
    expect(await unused('90d')).toEqual(['purges']);
    expect(await place.sh('secrets policy list --unused 2999-01-01')).toMatchObject({
      stdout: expect.stringMatching(/reads[^]*purges/) as string,
      stderr: '',
    });
    expect((await place.sh('secrets policy list')).stdout.trim().split('\n')).toHaveLength(3);
  });
});

describe('explain', () => {
  test('says what would be decided and by which policy, and does nothing', async () => {
    write(
      'secrets.policy.cedar',
      '@id("app") permit (principal, action == Action::"read", resource in Prefix::"local://app/");',
    );
    expect(await place.sh('secrets policy explain get app/db')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^allow\tread\tlocal:\/\/app\/db\tproject:app\ndeny\tdescribe\tlocal:\/\/app\/db\tno policy in /,
      ) as string,
      stderr: '',
    });
    expect((await place.sh('secrets policy explain put app/db --expires 3d')).code).toBe(8);
    expect((await place.sh('ls "$HOME"')).stdout).toBe('');
  });

  test('what depends on labels is decided with those that are given', async () => {
    write(
      'secrets.policy.cedar',
      'permit (principal, action, resource is Secret) when { resource.hasTag("e") && resource.getTag("e") == "t" };',
    );
    const first = async (flags: string): Promise<string> =>
      (await place.sh(`secrets policy explain ${flags} get a`)).stdout.split('\t', 1)[0] ?? '';
    expect(await first('')).toBe('depends on labels');
    expect(await first('--label e=t')).toBe('allow');
    expect(await first('--label e=x')).toBe('deny');
  });

  test('a copy that may not list or write exits as the copy itself does', async () => {
    const rights = (where: string, actions: string): string =>
      `permit (principal, action in [${actions}], resource in Prefix::"local://${where}/");\n`;
    const reads = 'Action::"read", Action::"describe"';
    await place.sh('printf v | secrets put from/a');
    const codes = async (
      there: string,
      here: string,
      line = 'copy local://from/a local://to/a',
    ): Promise<readonly (number | null)[]> => {
      write('secrets.policy.cedar', rights('from', there) + rights('to', here));
      const explained = await place.sh(`secrets policy explain ${line}`);
      return [explained.code, (await place.sh(`secrets ${line}`)).code];
    };
    expect(await codes(reads, reads)).toEqual([8, 8]);
    expect(await codes(reads, 'Action::"write", Action::"describe"')).toEqual([8, 8]);
    expect(await codes(reads, `${reads}, Action::"write"`)).toEqual([0, 0]);
    const all = `${reads}, Action::"write", Action::"list"`;
    expect(await codes(reads, all, 'copy local://from/ local://to/')).toEqual([8, 8]);
    expect(await codes(`${reads}, Action::"list"`, all, 'copy local://from/ local://to/')).toEqual([0, 0]);
    expect(await codes(reads, all, 'env --no-project --from local://from/')).toEqual([8, 8]);
  });

  const line = (text: string) => readLine(commands, text.split(' '));
  test.each([
    ['get a b#k --json', 'get', ['a', 'b#k']],
    ['get --timeout 3s a', 'get', ['a']],
    ['get --timeout=3s a --store prod', 'get', ['prod://a']],
    ['rm a b', 'delete', ['a', 'b']],
    ['put a key=value', 'put', ['a']],
    ['copy x://a y://b', 'copy', ['x://a', 'y://b']],
    ['list x*', 'list', ['x']],
    ['rotate status', 'rotate status', []],
    ['rotate a', 'rotate', ['a']],
    ['stores rekey prod', 'stores rekey', ['prod://']],
    ['access grant user:a prod://b', 'access grant', ['prod://b']],
    [
      'exec -e A=x#k --env B=prod://y --from z/ --file C=f -- run -e D=n',
      'exec',
      ['x#k', 'prod://y', 'z/', 'f'],
    ],
  ])('%s', (text, verb, references) => {
    expect(line(text)).toMatchObject({ verb, references });
  });

  test('the program, the reason and the project’s variables', () => {
    expect(line('exec --reason INC-1 -- run --x')).toMatchObject({
      program: 'run',
      reason: 'INC-1',
      usesProject: true,
    });
    expect(line('exec --no-project run')).toMatchObject({ program: 'run', usesProject: false });
  });

  test.each([
    ['gett a', 'did you mean get?'],
    ['get a --jsno', 'has no option --jsno'],
    ['audit', 'needs a verb'],
  ])('%s is refused', async (text, why) => {
    const { code, stderr } = await place.sh(`secrets policy explain ${text}`);
    expect([code, stderr]).toEqual([2, expect.stringContaining(why) as string]);
  });
});

describe('the examples of docs/access.md', () => {
  const page = readFileSync(join(ROOT, 'docs/access.md'), 'utf8');
  const example = (title: string) => {
    const [, section = ''] = page.split(`### Example: ${title}`);
    const blocks = [...(section.split('\n### ', 1)[0] ?? '').matchAll(/```(cedar|yaml)\n([^]*?)```/g)];
    const of = (kind: string) => blocks.filter(([, one]) => one === kind).map(([, , text = '']) => text);
    return { policies: of('cedar'), cases: of('yaml')[0] ?? '' };
  };

  test('a team of five', async () => {
    const { policies, cases } = example('a team of five');
    write('secrets.policy.cedar', policies[0] ?? '');
    write('secrets.policy.test.yaml', cases);
    expect(await place.sh('secrets policy check && secrets policy test')).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
  });

  test('a company of five hundred', async () => {
    const { policies, cases } = example('a company of five hundred');
    write('machine.cedar', policies[0] ?? '');
    write('secrets.policy.cedar', policies[1] ?? '');
    write('cases.yaml', cases);
    const check = 'secrets policy check machine.cedar secrets.policy.cedar';
    const test = 'secrets policy test cases.yaml --policy machine.cedar --policy secrets.policy.cedar';
    expect(await place.sh(`${check} && ${test}`)).toEqual({ code: 0, stdout: '', stderr: '' });
  });
});

test('a record whose policies are no list of names is read without them', async () => {
  const { parse } = await import('../../src/audit/log/read.ts');
  const line = (policies: unknown): Buffer =>
    Buffer.from(JSON.stringify({ seq: 1, time: 't', kind: 'access', policies }));
  expect(parse(line(['user:a']))?.policies).toEqual(['user:a']);
  for (const policies of ['x', 5, {}, [1], [null]]) expect(parse(line(policies))?.policies).toBeUndefined();
});
