/** Which files decide, who may write them, and what their policies can speak about. */
import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type SecretsError, toSecretsError } from '../../src/core/errors.ts';
import { POLICY_SCHEMA } from '../../src/core/policy/schema.ts';
import { makePlace } from '../e2e/program.ts';
import { mayTrace, ROOT_USER, testNeeding } from '../needs.ts';
import { FILES, LOCAL, makePolicyMachine, type PolicyMachine } from './kit.ts';

const ALL = '@id("all") permit(principal, action, resource);';

function thrownBy(work: () => unknown): SecretsError {
  try {
    work();
  } catch (thrown) {
    return toSecretsError(thrown);
  }
  throw new Error('nothing was thrown');
}

let machine: PolicyMachine;
beforeEach(() => {
  machine = makePolicyMachine();
});
afterEach(() => machine.remove());

test('the published schema is the one that policies are checked against', () => {
  expect(readFileSync(new URL('../../schemas/secrets.cedarschema', import.meta.url), 'utf8')).toBe(
    POLICY_SCHEMA,
  );
});

describe('layers', () => {
  test('each layer that has a file must allow', () => {
    machine.policy('machine', ALL);
    machine.policy('project', '@id("app") permit(principal, action, resource in Prefix::"local://app/");');
    expect(machine.decide('read', 'app/db')).toEqual({
      allowed: true,
      policies: ['machine:all', 'project:app'],
    });
    const denied = machine.decide('read', 'other');
    expect(denied).toMatchObject({ allowed: false, policies: [] });
    expect(denied.why).toBe(
      `no policy in ${join(machine.root, FILES.project)} permits ann to read local://other`,
    );
  });

  test('no other layer permits what the machine’s forbids, or doesn’t permit', () => {
    machine.policy('user', ALL);
    machine.policy('project', ALL);
    machine.policy('machine', `@id("never") forbid(principal, action, resource == Secret::"local://root");`);
    expect(machine.decide('read', 'root')).toMatchObject({
      allowed: false,
      policies: ['machine:never'],
      why: `read is forbidden by the policy never (${join(machine.root, FILES.machine)}:1)`,
    });
    expect(machine.decide('read', 'app').why).toContain(`no policy in ${join(machine.root, FILES.machine)}`);
  });

  test('a forbid wins over a permit', () => {
    machine.policy('user', `${ALL}\n@id("no") forbid(principal, action == Action::"purge", resource);`);
    expect(machine.decide('write', 'a').allowed).toBe(true);
    expect(machine.decide('purge', 'a')).toMatchObject({ allowed: false, policies: ['user:no'] });
  });

  test('an empty file permits nothing', () => {
    machine.policy('user', '');
    expect(machine.decide('read', 'a').allowed).toBe(false);
  });
});

describe('what policies speak about', () => {
  const decides = (text: string, ...of: Parameters<PolicyMachine['decide']>): boolean => {
    machine.policy('user', text);
    return machine.decide(...of).allowed;
  };

  test('the user and groups of the system, and no variable', () => {
    const permit = 'permit(principal == User::"ann", action, resource);';
    expect(decides(permit, 'read', 'a')).toBe(true);
    const eve = { more: { names: () => ({ user: 'eve', host: 'h' }), env: { USER: 'ann', LOGNAME: 'ann' } } };
    expect(decides(permit, 'read', 'a', eve)).toBe(false);
    const gid = process.getegid?.() ?? 0;
    expect(decides(`permit(principal in Group::"gid:${gid}", action, resource);`, 'read', 'a')).toBe(true);
    expect(decides('permit(principal in Group::"gid:54321", action, resource);', 'read', 'a')).toBe(false);
  });

  test.each([
    ['context.command == "rotate resume"', { command: 'rotate resume' }],
    ['context has program && context.program == "/usr/bin/true"', { program: '/usr/bin/true' }],
    ['context has reason && context.reason like "INC-*"', { reason: 'INC-7' }],
    ['context.terminal', { terminal: true }],
    ['context.ci', { more: { env: { CI: 'true' } } }],
    ['context has branch && context.branch == "main"', { more: { env: { GITHUB_REF_NAME: 'main' } } }],
    ['context.host == "build-1"', { more: { names: () => ({ user: 'ann', host: 'build-1' }) } }],
    // A Friday.
    ['context.hour == 3 && context.weekday == 5', {}],
    ['context.hour == 23 && context.weekday == 7', { more: { now: () => new Date('2026-11-29T23:59:00Z') } }],
  ])('%s', (condition, run) => {
    const text = `permit(principal, action, resource) when { ${condition} };`;
    expect(decides(text, 'rotate', 'a', run)).toBe(true);
    expect(decides(text.replace('when', 'unless'), 'rotate', 'a', run)).toBe(false);
  });

  test('the branch of the repository that the run is in', () => {
    machine.write('project/.git/HEAD', 'ref: refs/heads/feature/x\n');
    const text =
      'permit(principal, action, resource) when { context has branch && context.branch == "feature/x" };';
    expect(decides(text, 'read', 'a')).toBe(true);
    machine.write('project/.git/HEAD', `${'0'.repeat(40)}\n`);
    expect(decides(text, 'read', 'a')).toBe(false);
  });

  test('labels, and a store that has none to show', () => {
    const text =
      'permit(principal, action, resource is Secret) when { resource.hasTag("env") && resource.getTag("env") == "test" };';
    const of = (labels?: Readonly<Record<string, string>> | 'unknown') =>
      decides(text, 'read', 'a', {}, LOCAL, labels);
    expect(of({ env: 'test' })).toBe(true);
    expect(of({ env: 'prod' })).toBe(false);
    expect(of('unknown')).toBe(false);
    expect(machine.decide('read', 'a', {}, LOCAL, 'unknown').why).toMatch(
      /asks for the labels of local:\/\/a/,
    );
    expect(machine.judge().needsLabels(LOCAL, 'read', 'a')).toBe(true);
    machine.policy('user', ALL);
    expect(machine.judge().needsLabels(LOCAL, 'read', 'a')).toBe(false);
  });

  test('the kind of a store, however it is called', () => {
    const text = `${ALL} forbid(principal, action, resource is Secret) when { resource.provider == "aws" };`;
    const aws = (name: string) => ({ name, provider: 'aws', settings: {}, native: undefined });
    expect(decides(text, 'read', 'a', {}, aws('x'))).toBe(false);
    expect(decides(text, 'read', 'a', {}, { ...aws('x'), provider: 'gcp' })).toBe(true);
  });

  test('an entity that is written out, for each secret anew', () => {
    machine.policy(
      'user',
      '@id("a") permit(principal, action, resource) when { Prefix::"local://app/".name == "app/" };',
    );
    const judge = machine.judge();
    expect(judge.decide(LOCAL, 'read', 'app/db').allowed).toBe(true);
    // Cedar doesn't know of that prefix here.
    expect(judge.decide(LOCAL, 'read', 'root/key').allowed).toBe(false);
  });

  test('as many operators as a policy may have', () => {
    const users = (count: number): string =>
      Array.from({ length: count }, (_, index) => `principal == User::"u${index}"`).join(' || ');
    const text = `permit(principal, action, resource) when { ${users(200)} || principal == User::"ann" };`;
    expect(decides(text, 'read', 'a')).toBe(true);
  });

  test('the same secret under a name of another spelling', () => {
    const text = `${ALL} forbid(principal, action, resource == Secret::"kv://db");`;
    const azure = { name: 'kv', provider: 'azure', settings: {}, native: undefined };
    expect(decides(text, 'read', 'DB', {}, azure)).toBe(false);
    expect(decides(text, 'read', 'db2', {}, azure)).toBe(true);
  });

  test('the name that the service has, whatever prefix the store’s settings add', () => {
    const text = `${ALL} forbid(principal, action, resource is Secret) when { resource.name like "prod/*" };`;
    const aws = { name: 'x', provider: 'aws', settings: {}, native: undefined };
    const prod = { ...aws, settings: { prefix: 'prod/' } };
    const arn = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:';
    expect(decides(text, 'read', 'prod/db', {}, aws)).toBe(false);
    expect(decides(text, 'read', 'db', {}, aws)).toBe(true);
    expect(decides(text, 'read', 'db', {}, prod)).toBe(false);
    expect(decides(text, 'read', 'db', {}, { ...aws, settings: { prefix: `${arn}prod/` } })).toBe(false);
    const native = { region: 'eu-west-1', prefix: null, arn: true };
    expect(decides(text, 'read', `${arn}prod/db`, {}, { ...prod, native })).toBe(false);
  });

  test('an identifier that leads out of the store needs a permit there too', () => {
    const text = 'permit(principal, action, resource in Store::"prod");';
    const gcp = { name: 'prod', provider: 'gcp', settings: { project: 'mine' }, native: undefined };
    expect(decides(text, 'read', 'db', {}, gcp)).toBe(true);
    expect(decides(text, 'read', 'db', {}, { ...gcp, native: { project: 'other' } })).toBe(false);
    expect(decides(text, 'read', 'db', {}, { ...gcp, native: { project: 'mine' } })).toBe(true);
  });
});

describe('a file that can’t be used allows nothing', () => {
  test.each([
    [
      'permit(principal, action == Action::"raed", resource);',
      /:1:29: unrecognized action .*did you mean .*read/,
    ],
    ['permit(principal, action, resource)', /:1:\d+: unexpected end of input/],
    ['\n\npermit(principal, action resource);', /:3:26: unexpected token/],
    [
      'forbid(principal, action, resource is Secret) when { resource.nmae == "x" };',
      /attribute `nmae`.*did you mean `name`/,
    ],
    ['permit(principal == ?principal, action, resource);', /is a template/],
    [
      '@id("a") permit(principal, action, resource);\n@id("a") forbid(principal, action, resource);',
      /:2:1: the policy in line 1 has the same id, a/,
    ],
    ['permit(principal, action, resource) when { context.reason == "x" };', /reason/],
  ])('%s', (text, message) => {
    const path = machine.policy('user', text);
    expect(() => machine.judge()).toThrow(expect.objectContaining({ kind: 'Policy' }) as Error);
    const { message: said, hint } = thrownBy(() => machine.judge());
    expect(`${said}; ${hint}`).toMatch(message);
    expect(said).toContain(path);
    expect(hint).toMatch(/nothing is allowed until the policy is mended$/);
  });

  test.each([
    ['(('.repeat(100) + 'true' + '))'.repeat(100), /:1:107: more than 64 brackets are open here/],
    [Array(400).fill('context.ci').join(' || '), /:1:\d+: a policy has at most 200 operators/],
    [`context${'.a'.repeat(30_000)}`, /:1:1: the policy is too complex for Cedar/],
  ])('a policy that overflows Cedar’s stack (%#)', (condition, message) => {
    machine.policy('user', `permit(principal, action, resource) when { ${condition} };`);
    expect(thrownBy(() => machine.judge())).toMatchObject({
      kind: 'Policy',
      message: expect.stringMatching(message) as string,
      hint: expect.stringMatching(/nothing is allowed until the policy is mended$/) as string,
    });
  });

  test.each([
    ['that is not UTF-8', new Uint8Array([0x70, 0xff])],
    ['that is too large', ' '.repeat(2 * 1024 * 1024 + 1)],
  ])('%s', (_what, content) => {
    machine.write(FILES.user, content);
    expect(() => machine.judge()).toThrow(expect.objectContaining({ kind: 'Policy' }) as Error);
  });

  test('a folder, a link and a pipe in its place', () => {
    const path = join(machine.root, FILES.user);
    mkdirSync(path, { recursive: true });
    expect(() => machine.judge()).toThrow(/is not a file/);
    rmSync(path, { recursive: true });
    machine.write('real.cedar', ALL);
    symlinkSync(join(machine.root, 'real.cedar'), path);
    expect(() => machine.judge()).toThrow(/symbolic link/);
    rmSync(path);
    symlinkSync('/nonexistent', path);
    expect(() => machine.judge()).toThrow(/symbolic link/);
  });

  test.each([
    ['the file', FILES.project, 0o666],
    ['its folder', 'project', 0o777],
    ['a folder above', '.', 0o777],
  ])('somebody else may write %s', (_what, path, mode) => {
    machine.policy('project', ALL);
    chmodSync(join(machine.root, path), mode);
    expect(() => machine.judge()).toThrow(/somebody else may write it \(.* has mode .*\)/);
  });

  test('a folder that everybody may add to, and nobody take from, is no danger', () => {
    machine.policy('project', ALL);
    chmodSync(machine.root, 0o1777);
    expect(machine.decide('read', 'a').allowed).toBe(true);
  });

  testNeeding(ROOT_USER)('the file of another user, or the machine’s if it isn’t root’s', () => {
    const path = machine.policy('user', ALL);
    chownSync(path, 12345, 12345);
    expect(() => machine.judge()).toThrow(/it belongs to uid 12345/);
    expect(() => machine.judge({ more: { uid: 12345 } })).not.toThrow();
    renameSync(path, machine.write(FILES.machine, ''));
    expect(() => machine.judge({ more: { uid: 12345 } })).toThrow(/it belongs to uid 12345/);
  });
});

testNeeding(mayTrace())(
  'without a policy file nothing of Cedar is read, and each place is looked at once',
  async () => {
    const place = await makePlace();
    try {
      await place.sh('printf v | secrets put a; echo "{}" > secrets.yaml');
      const { stderr } = await place.sh(
        'strace -f -qq -e trace=file -e signal=none secrets get a 2>&1 > /dev/null | grep -E "policy.cedar|cedar.wasm" >&2',
      );
      const looked = [...stderr.matchAll(/"([^"]*(?:policy\.cedar|cedar\.wasm))"/g)].map(([, path]) => path);
      expect(looked).toEqual([
        '/etc/secrets/secrets.policy.cedar',
        join(place.home, '.config/secrets/secrets.policy.cedar'),
        join(place.cwd, 'secrets.policy.cedar'),
      ]);
    } finally {
      await place.remove();
    }
  },
);
