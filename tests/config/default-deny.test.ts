/** What a stranger's secrets.yaml may do before it is trusted: a short list, and nothing else. */
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../src/config/config.ts';
import { providers } from '../../src/providers/registry.ts';
import type { ProgramWorld } from '../../src/config/kinds.ts';
import { MANUALS } from './manuals.ts';
import { makeMachine, type Machine } from './setup.ts';

let machine: Machine;
beforeEach(() => {
  machine = makeMachine();
});
afterEach(() => machine.remove());

const load = (yaml: object, more: Partial<ProgramWorld> = {}): Promise<Config> => {
  machine.write('home/p/secrets.yaml', JSON.stringify(yaml));
  return machine.load('home/p', {}, more);
};
const settingsOf = ({ project }: Config): readonly string[] =>
  (project?.lines ?? []).map(({ setting }) => setting);
const NAMES = [...new Set(Object.values(MANUALS).flatMap((names) => names.split(' ')))];

describe('variables', () => {
  test('no literal for a variable of a manual passes', async () => {
    for (const value of ['1', 'x', './x', 'info', '8080']) {
      const { env, project } = await load({ env: Object.fromEntries(NAMES.map((name) => [name, value])) });
      expect(env.size).toBe(NAMES.length);
      expect([...env].filter(([, { untrusted }]) => untrusted === undefined)).toEqual([]);
      expect(project?.trusted).toBe(false);
    }
  });

  test('nor does a reference, by a file or a value', async () => {
    for (const entry of ['local://x', { ref: 'local://x', as: 'file' }, { ref: 'x', optional: true }]) {
      const { env } = await load({ env: Object.fromEntries(NAMES.map((name) => [name, entry])) });
      const free = [...env].filter(([, { untrusted }]) => untrusted === undefined);
      expect(free.map(([name]) => name).toSorted()).toEqual(['EMAIL', 'USER']);
    }
  });

  test('nor any other literal, but for those of the short list in their form', async () => {
    const { env } = await load({
      env: {
        LOG_LEVEL: 'debug',
        LOG_FORMAT: 'json',
        PORT: '8080',
        METRICS_PORT: '9090',
        DATABASE_URL: 'local://db#url',
        API_URL: 'https://api.example',
        GREETING: 'hello',
        MODE: 'x',
      },
    });
    const free = [...env].filter(([, { untrusted }]) => untrusted === undefined).map(([name]) => name);
    expect(free).toEqual(['LOG_LEVEL', 'LOG_FORMAT', 'PORT', 'METRICS_PORT', 'DATABASE_URL']);
    expect(settingsOf(await load({ env: { LOG_LEVEL: '$(id)', PORT: '80@evil' } }))).toEqual([
      'env.LOG_LEVEL',
      'env.PORT',
    ]);
  });

  test('nor one that takes the place of what is inherited, or of the user’s own', async () => {
    const yaml = {
      env: { LOG_LEVEL: 'debug', PORT: '1' },
      profiles: { ci: { env: { LOG_FORMAT: 'json' } } },
    };
    expect(settingsOf(await load(yaml))).toEqual([]);
    expect(
      settingsOf(await load(yaml, { env: { LOG_LEVEL: 'debug', PORT: '1', LOG_FORMAT: 'json' } })),
    ).toEqual([]);
    expect(settingsOf(await load(yaml, { env: { LOG_LEVEL: '', LOG_FORMAT: 'text' } }))).toEqual([
      'env.LOG_LEVEL',
      'profiles.ci.env.LOG_FORMAT',
    ]);
    machine.write('home/.config/secrets/secrets.yaml', 'env: { PORT: "2" }');
    const { env, project } = await load(yaml);
    expect(project?.lines.map(({ setting }) => setting)).toEqual(['env.PORT']);
    expect(env.get('PORT')?.untrusted).toBeDefined();
  });

  test('nor a reference for a name that does not say it is data', async () => {
    const refs = {
      DATABASE_URL: 'local://a',
      STRIPE_KEY: 'local://b',
      MODE: 'local://c',
      ACME_CMD: 'local://d',
    };
    expect(settingsOf(await load({ env: refs }))).toEqual(['env.MODE', 'env.ACME_CMD']);
  });

  test('nor one that takes the place of what is set', async () => {
    const yaml = { env: { DB_URL: 'local://a', API_KEY: { ref: 'local://b', optional: true } } };
    expect((await load(yaml)).project).toMatchObject({ lines: [], trusted: true });
    const { env, project } = await load(yaml, { env: { API_KEY: '' } });
    expect(project?.lines).toMatchObject([{ setting: 'env.API_KEY' }]);
    expect(env.get('API_KEY')).toMatchObject({ unlessSame: true });
    expect(env.get('DB_URL')?.untrusted).toBeUndefined();
    machine.write('home/.config/secrets/secrets.yaml', 'env: { DB_URL: local://mine }');
    const own = await load(yaml);
    expect(settingsOf(own)).toEqual(['env.DB_URL']);
    expect(own.env.get('DB_URL')?.unlessSame).toBeUndefined();
  });

  test.each([
    'arn:aws:secretsmanager:eu-west-1:666666666666:secret:url',
    'projects/evil/secrets/url',
    'https://evil.vault.azure.net/secrets/url',
    'evil:variable:url',
    'https://evil.vault.azure.net/secrets/url#key',
  ])('nor a secret of an account that the file names: %s', async (ref) => {
    expect(settingsOf(await load({ env: { DEPLOY_URL: ref } }))).toEqual(['env.DEPLOY_URL']);
    expect(settingsOf(await load({ env: { DEPLOY_URL: { ref } } }))).toEqual(['env.DEPLOY_URL']);
  });
});

describe('stores', () => {
  const team = (settings: object): Promise<Config> => load({ stores: { team: settings } });

  test.each([
    { provider: 'local' },
    { provider: 'aws', region: 'eu-west-1', prefix: 'payments/' },
    { provider: 'azure', names: 'mapped' },
    { provider: 'gcp', location: 'europe-west1', prefix: 'team-', transport: 'grpc' },
    { provider: 'vault' },
    { provider: 'conjur' },
  ])('%j is used', async (settings) => {
    const { stores, project } = await team(settings);
    expect(stores.get('team')?.untrusted).toBeUndefined();
    expect(project?.trusted).toBe(true);
  });

  test.each([
    [{ provider: 'aws', prefix: 'arn:aws:secretsmanager:eu-west-1:666666666666:secret:' }, 'prefix'],
    [{ provider: 'aws', prefix: 'arn%3aaws' }, 'prefix'],
    [{ provider: 'aws', profile: 'prod-admin' }, 'profile'],
    [{ provider: 'azure', vault: 'pay' }, 'vault'],
    [{ provider: 'azure', auth: { 'tenant-id': 'x' } }, 'auth.tenant-id'],
    [{ provider: 'gcp', project: 'p' }, 'project'],
    [{ provider: 'vault', mount: 'shared' }, 'mount'],
    [{ provider: 'vault', 'kv-version': 1 }, 'kv-version'],
    [{ provider: 'conjur', account: 'acme' }, 'account'],
    [{ provider: 'conjur', policy: 'app' }, 'policy'],
    [{ provider: 'conjur', auth: { method: 'api-key', login: 'host/x' } }, 'auth.method'],
    [{ provider: 'local', path: './x' }, 'path'],
    [{ provider: 'local', key: { method: 'key-file' } }, 'key.method'],
  ])('%j is not', async (settings, setting) => {
    const { stores } = await team(settings);
    expect(stores.get('team')?.untrusted?.map((line) => line.setting)).toContain(`stores.team.${setting}`);
  });

  test.each(providers.map(({ kind }) => kind))('nor is one that is named %s', async (kind) => {
    const settings = { provider: kind, ...(kind === 'exec' && { plugin: 'x' }) };
    const { stores, project } = await load({ stores: { [kind]: settings } });
    expect(stores.get(kind)?.untrusted).toContainEqual(
      expect.objectContaining({ setting: `stores.${kind}` }),
    );
    expect(project?.trusted).toBe(false);
    const profile = await load({ profiles: { ci: { stores: { [kind]: settings } } } });
    expect(settingsOf(profile)).toContain(`profiles.ci.stores.${kind}`);
  });

  test.each(['https', 'postgres', 'mysql', 'redis'])(
    'nor one whose references are addresses: %s',
    async (name) => {
      expect(settingsOf(await load({ stores: { [name]: { provider: 'local' } } }))).toEqual([
        `stores.${name}`,
      ]);
    },
  );

  test('a default is not, unless it is the user’s own', async () => {
    const yaml = { default: 'team', stores: { team: { provider: 'aws' } } };
    const { untrustedDefault, project } = await load(yaml);
    expect(untrustedDefault).toMatchObject({ setting: 'default', value: 'team' });
    expect(project?.trusted).toBe(false);
    expect(settingsOf(await load({ default: 'local' }))).toEqual([]);
    machine.write('home/.config/secrets/secrets.yaml', 'default: team\nstores: { team: { provider: aws } }');
    expect(settingsOf(await load({ default: 'team' }))).toEqual([]);
    expect(settingsOf(await load({ default: 'local' }))).toEqual(['default']);
    expect(settingsOf(await load({ profiles: { ci: { default: 'local' } } }))).toEqual([
      'profiles.ci.default',
    ]);
  });
});

describe('relative paths', () => {
  const yaml = {
    stores: {
      l: { provider: 'local', path: './s', key: { file: 'k', identity: '~/i' } },
      g: { provider: 'gcp', credentials: 'c.json', ca: '/etc/ca.pem' },
      v: {
        provider: 'vault',
        ca: '../ca.pem',
        auth: { method: 'token', 'token-file': 't' },
        trail: { file: 'f' },
      },
      c: {
        provider: 'conjur',
        ca: 'ca',
        auth: { method: 'jwt', netrc: 'n', 'token-file': 't', 'jwt-file': 'j' },
      },
      a: { provider: 'azure', ca: 'ca', auth: { certificate: 'x.pem', 'token-file': 't' } },
    },
  };
  const expectPlaced = ({ stores }: Config): void => {
    const at = (path: string): string => join(machine.home, 'p', path);
    const settings = Object.fromEntries([...stores].map(([name, store]) => [name, store.settings]));
    expect(settings).toMatchObject({
      l: { path: at('s'), key: { file: at('k'), identity: join(machine.home, 'i') } },
      g: { credentials: at('c.json'), ca: '/etc/ca.pem' },
      v: { ca: join(machine.home, 'ca.pem'), auth: { 'token-file': at('t') }, trail: { file: at('f') } },
      c: { ca: at('ca'), auth: { netrc: at('n'), 'token-file': at('t'), 'jwt-file': at('j') } },
      a: { ca: at('ca'), auth: { certificate: at('x.pem'), 'token-file': at('t') } },
    });
  };

  test('start at the folder of the file, wherever the command is run', async () => {
    expectPlaced(await load(yaml));
    mkdirSync(join(machine.home, 'p/sub/deep'), { recursive: true });
    expectPlaced(await machine.load('home/p/sub/deep'));
    expectPlaced(await machine.load('home', { file: 'p/secrets.yaml' }));
  });

  test('also where it is reached by a link: one trust, one meaning', async () => {
    machine.write('home/p/secrets.yaml', JSON.stringify(yaml));
    mkdirSync(join(machine.home, 'p/.git'));
    mkdirSync(join(machine.home, 'p/other'));
    symlinkSync('../secrets.yaml', join(machine.home, 'p/other/secrets.yaml'));
    expectPlaced(await machine.load('home/p/other'));
  });
});
