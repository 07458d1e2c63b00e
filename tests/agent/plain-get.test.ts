/** `secrets get REF`, answered by the agent before the program is loaded: only where the command would do the same. */
import { writeFileSync } from 'node:fs';
import { spawn } from '@lydell/node-pty';
import { join } from 'node:path';
import { mayBeAgent } from '../../src/cli/agent-there.ts';
import type { AgentGet } from '../../src/core/agent/messages.ts';
import { askAgent } from '../../src/platform/agent/connect.ts';
import { socketPaths } from '../../src/platform/agent/place.ts';
import { clientIdentity, placeOf } from '../../src/session/agent-identity.ts';
import { scenarioFiles, startAws, type Aws } from '../backends/aws.ts';
import { describeWith } from '../backends/server.ts';
import { NODE, type Outcome, PROGRAM } from '../e2e/program.ts';
import { type Agent, type AgentPlace, makeAgentPlace } from './kit.ts';

describeWith('a plain get through the agent', scenarioFiles, () => {
  let aws: Aws;
  let place: AgentPlace;
  let agent: Agent;

  beforeAll(async () => {
    aws = await startAws();
    place = await makeAgentPlace();
    for (const [name, value] of [
      ['text', 'one'],
      ['map', '{"user":"u","port":5432}'],
      ['control', 'a\u001b[2Jb'],
    ])
      await place.sh(`printf '%s' '${value}' | secrets put --quiet aws://${name}`, aws.admin);
    agent = await place.start(aws.admin);
    for (const name of ['text', 'map', 'control']) await get(`aws://${name}`);
  }, 120_000);
  afterAll(async () => {
    await place.remove();
    await aws.stop();
  });
  beforeEach(() => place.sh('rm -f secrets.yaml', aws.admin));

  const get = (reference: string, more: Readonly<Record<string, string>> = {}): Promise<Outcome> =>
    place.sh(`secrets get '${reference}'`, { ...aws.admin, ...more });

  const served = async (): Promise<number> => {
    const { answer } = await askAgent(agent.socket, { op: 'status' });
    const { doors } = (answer as { readonly done: { readonly doors: { readonly requests: number }[] } }).done;
    return doors[0]?.requests ?? 0;
  };

  /** How many requests a get makes of the agent: 1 if the plain one was answered, 2 if it had to ask in full. */
  const asked = async (reference: string, more?: Readonly<Record<string, string>>): Promise<object> => {
    const before = await served();
    const { stdout, code } = await get(reference, more);
    // The last one is the question itself.
    return { stdout, code, requests: (await served()) - before - 1 };
  };

  const project = (text: string): void => writeFileSync(join(place.cwd, 'secrets.yaml'), text);

  test('one request, and one record with the client’s own process, reason and keys', async () => {
    const before = place.records().length;
    expect(await asked('aws://map#port', { SECRETS_REASON: 'why' })).toEqual({
      stdout: '5432',
      code: 0,
      requests: 1,
    });
    const [record, ...more] = place.records().slice(before);
    expect(more).toEqual([]);
    expect(record).toMatchObject({
      action: 'read',
      command: 'get',
      store: 'aws',
      secret: 'map',
      keys: ['port'],
      reason: 'why',
      outcome: 'allowed',
      agent: 'cache',
    });
    expect(record?.pid).not.toBe(agent.pid);
  }, 60_000);

  test('the secrets.yaml and the profile of the client’s folder count, as they are now', async () => {
    project('stores: { team: { provider: aws } }\n');
    // Held for the settings of another store, so the first one asks it.
    expect(await asked('team://text')).toEqual({ stdout: 'one', code: 0, requests: 2 });
    expect(await asked('team://text')).toEqual({ stdout: 'one', code: 0, requests: 1 });
    project('profiles: { work: { stores: { team: { provider: aws } } } }\n');
    expect(await asked('team://text')).toMatchObject({ stdout: '', code: 2, requests: 1 });
    expect(await asked('team://text', { SECRETS_PROFILE: 'work' })).toEqual({
      stdout: 'one',
      code: 0,
      requests: 1,
    });
  }, 60_000);

  test('a file that isn’t trusted gets the same refusal, and no value', async () => {
    project(`stores: { aws: { provider: aws, region: eu-west-1 } }\n`);
    const [through, without] = [await get('aws://text'), await get('aws://text', { SECRETS_AGENT: '0' })];
    expect(through).toEqual(without);
    expect(through).toMatchObject({ stdout: '', code: 8 });
  }, 60_000);

  test('where any other variable of the client may count, the client reads the file', async () => {
    project('env: { GREETING: hello }\n');
    expect(await asked('aws://text', { GREETING: 'mine' })).toEqual({ stdout: 'one', code: 0, requests: 2 });
  }, 60_000);

  test('on a terminal, with a line break, and nothing that gives it orders', async () => {
    const shown = async (name: string, more: Readonly<Record<string, string>> = {}): Promise<object> => {
      const { cwd, env } = place;
      const before = await served();
      const pty = spawn(NODE, [PROGRAM, 'get', `aws://${name}`], {
        cwd,
        env: { ...env, ...aws.admin, ...more },
      });
      let output = '';
      pty.onData((data) => (output += data));
      const { exitCode } = await new Promise<{ exitCode: number }>((resolve) => pty.onExit(resolve));
      return { output, exitCode, requests: (await served()) - before - 1 };
    };
    expect(await shown('text')).toEqual({ output: 'one\r\n', exitCode: 0, requests: 1 });
    const without = await shown('control', { SECRETS_AGENT: '0' });
    expect(without).toMatchObject({
      output: expect.stringContaining('the value is not plain text') as string,
      requests: 0,
    });
    expect(await shown('control')).toEqual({ ...without, requests: 2 });
  }, 60_000);

  test('where there are policies, the client asks them', async () => {
    const file = '~/.config/secrets/secrets.policy.cedar';
    const policy = (text: string): Promise<Outcome> =>
      place.sh(`mkdir -p ~/.config/secrets && printf '%s' '${text}' > ${file} && chmod 600 ${file}`);
    await policy('permit(principal, action, resource);');
    expect(await asked('aws://text')).toEqual({ stdout: 'one', code: 0, requests: 2 });
    await policy('forbid(principal, action, resource);');
    const [through, without] = [await get('aws://text'), await get('aws://text', { SECRETS_AGENT: '0' })];
    expect(through).toEqual(without);
    expect(through).toMatchObject({ stdout: '', code: 8 });
    await place.sh(`rm ${file}`);
    expect(await asked('aws://text')).toEqual({ stdout: 'one', code: 0, requests: 1 });
  }, 60_000);

  test('what isn’t held, doesn’t exist or has no such key is asked in full', async () => {
    expect(await asked('aws://none')).toMatchObject({ stdout: '', code: 3, requests: 2 });
    expect(await asked('aws://map#none')).toMatchObject({ stdout: '', code: 3, requests: 2 });
    expect(await asked('not a reference://')).toMatchObject({ stdout: '', code: 2 });
  }, 60_000);

  test.each<[string, Partial<AgentGet> | Partial<AgentGet['identity']>]>([
    ['another version', { version: '0.0.1' }],
    ['another HOME', { home: '/elsewhere' }],
    ['other variables', { environment: 'x' }],
    ['another view of the file system', { place: 'a container' }],
    ['a folder that isn’t there', { cwd: '/none/such' }],
    ['a variable that isn’t one of the request', { variables: { AWS_PROFILE: 'other' } }],
  ])(
    '%s is refused, and not recorded',
    async (_what, wrong) => {
      const { home, cwd, env } = place;
      const { hello } = await askAgent(agent.socket, { op: 'status' });
      const client = clientIdentity({ env: { ...env, ...aws.admin }, home, uid: process.getuid?.() });
      const request: AgentGet = {
        op: 'get',
        identity: { ...client, version: hello.version },
        place: placeOf(cwd),
        cwd,
        reference: 'aws://text',
        variables: {},
        terminal: false,
        pid: 1,
      };
      expect((await askAgent(agent.socket, request)).answer).toEqual({ value: 'b25l' });
      const before = place.records().length;
      const isOfClient = Object.keys(wrong).every((name) => name in request.identity);
      const { answer } = await askAgent(agent.socket, {
        ...request,
        ...(isOfClient ? { identity: { ...request.identity, ...wrong } } : wrong),
      });
      expect(answer).toMatchObject({ refused: expect.any(String) as string });
      expect(place.records()).toHaveLength(before);
    },
    60_000,
  );
});

test.each([
  [{}, '.cache/secrets/agent/agent.sock'],
  [{ XDG_CACHE_HOME: 'CACHE' }, 'CACHE/secrets/agent/agent.sock'],
  [{ XDG_RUNTIME_DIR: 'RUN' }, 'RUN/secrets/agent.sock'],
])('an agent is looked for where its socket is: %p', async (variables, path) => {
  const place = await makeAgentPlace();
  const { home } = place;
  const env = Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, join(home, value)]));
  expect(mayBeAgent({ HOME: home, ...env })).toBe(false);
  const socket = join(home, path);
  expect(socketPaths({ env, home })).toContain(socket);
  await place.sh(`mkdir -p "$(dirname '${socket}')" && : > '${socket}'`);
  expect(mayBeAgent({ HOME: home, ...env })).toBe(true);
  await place.remove();
});
