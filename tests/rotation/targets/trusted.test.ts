/** Whoever may write the rotated secret chooses neither who is changed, nor where an administrator's password goes. */
import type { TargetDescriptor } from '../../../src/rotation/target.ts';
import { mysql } from '../../../src/rotation/targets/mysql/descriptor.ts';
import { postgres } from '../../../src/rotation/targets/postgres/descriptor.ts';
import { type Front, startFront } from './front.ts';
import { credential, known, never, openTarget, rotation } from './kit.ts';
import { makeServerCertificate, makeTemporary } from './temporary.ts';

const ADMIN = 'ops://admin';

let fronts: Front[];
beforeEach(async () => {
  const options = { asks: 'cleartext', sessionUser: 'app' } as const;
  fronts = await Promise.all([startFront(options), startFront(options)]);
});
afterEach(() => Promise.all(fronts.map((front) => front.stop())));

const [mine, strange] = [() => fronts[0]?.port ?? 0, () => fronts[1]?.port ?? 0];

const forms: readonly (readonly [string, (fields: Fields) => ReturnType<typeof credential>])[] = [
  ['JSON', (fields) => credential(fields)],
  [
    'a URL',
    ({ username, password, host, port, dbname }) =>
      credential(`postgres://${username}:${password}@${host}:${port}/${dbname}`),
  ],
];

interface Fields {
  readonly username: string;
  readonly password: string;
  readonly host: string;
  readonly port: number;
  readonly dbname: string;
  readonly [key: string]: string | number;
}

/** Every call, by the message that it fails with. */
async function messages(
  descriptor: TargetDescriptor,
  settings: object,
  secret: ReturnType<typeof credential>,
): Promise<readonly string[]> {
  const admin = credential({ username: 'boss', password: 'boss-1', host: '127.0.0.1', port: mine() });
  const { target } = await openTarget(descriptor, { ...settings }, { [ADMIN]: admin });
  const now = known(secret, secret, secret);
  const findings = await target.check(now, never);
  const thrown = (work: Promise<unknown> | undefined): Promise<string> =>
    (work ?? Promise.resolve()).then(
      () => 'nothing',
      ({ message }: Error) => message,
    );
  const draft = credential(secret.fields === undefined ? 'new' : { ...secret.fields, password: 'new' });
  return [
    findings.find(({ status }) => status === 'fail')?.detail ?? 'nothing',
    await thrown(target.propose?.(draft, now, rotation(), never)),
    await thrown(target.prove?.(secret, now, never)),
    await thrown(target.apply(secret, now, rotation(), never)),
    await thrown(target.verify(secret, never)),
  ];
}

describe.each(forms)('a secret that is %s', (_form, make) => {
  test.each([
    ['username', { username: 'dba' }, {}],
    ['host', { host: 'localhost' }, {}],
    ['port', {}, {}],
    ['database', { dbname: 'evil' }, {}],
    ['database', { dbname: 'evil' }, { database: 'shop' }],
    ['host', { host: 'localhost' }, { host: '127.0.0.1' }],
    ['port', {}, { port: 1 }],
  ])('names another %s, and nobody is told a password (%j, %j)', async (name, changed, more) => {
    const good = {
      ...{ username: 'app', password: 'app-1', host: '127.0.0.1', port: mine(), dbname: 'shop' },
      ...(name === 'port' && { port: strange() }),
    };
    const secret = make({ ...good, ...changed });
    const settings = {
      ...{ admin: ADMIN, username: 'app' },
      ...(name !== 'database' && { database: 'shop' }),
      ...more,
    };
    for (const message of await messages(postgres, settings, secret))
      expect(message).toMatch(new RegExp(`^the secret.*\\(${name}\\)$`));
    expect(fronts.map((front) => front.received())).toEqual(['', '']);
  });
});

test.each([postgres, mysql])(
  'the settings of a $type target bind a user that acts for itself, too',
  async (descriptor) => {
    const secret = credential({ username: 'dba', password: 'x', host: '127.0.0.1', port: strange() });
    for (const [name, settings] of [
      ['username', { username: 'app' }],
      ['host', { host: 'db.example.com' }],
      ['port', { port: mine() }],
    ] as const)
      for (const message of await messages(descriptor, settings, secret))
        expect(message).toBe(
          `the secret's ${name === 'username' ? 'user name' : name} is not the one of its target (${name})`,
        );
    expect(fronts.map((front) => front.received())).toEqual(['', '']);
  },
);

test.each([
  ['sslmode', (place: string) => `postgres://app:x@${place}/shop?sslmode=disable`],
  ['hostaddr', (place: string) => `postgres://app:x@${place}/shop?hostaddr=192.0.2.1`],
  ['sslmode', () => ({ sslmode: 'allow' })],
  ['useSSL', () => ({ useSSL: false })],
  ['ssl-mode', () => ({ 'ssl-mode': 'DISABLED' })],
  ['service', (place: string) => ({ service: 'payments', url: `postgres://app:x@${place}/shop?service=a` })],
] as const)('a secret that chooses another way by %s is refused', async (name, make) => {
  const temporary = makeTemporary();
  try {
    const { ca } = makeServerCertificate(temporary.folder, 'DNS:localhost');
    const settings = { admin: ADMIN, username: 'app', database: 'shop', ca };
    const made = make(`127.0.0.1:${mine()}`);
    const place = { username: 'app', password: 'x', host: '127.0.0.1', port: mine(), dbname: 'shop' };
    const secret = credential(typeof made === 'string' ? made : { ...place, ...made });
    for (const message of await messages(postgres, settings, secret)) expect(message).toContain(name);
    expect(fronts.map((front) => front.received())).toEqual(['', '']);
  } finally {
    temporary.remove();
  }
});

test('an administrator without a named user is wrong settings', async () => {
  await expect(openTarget(postgres, { admin: ADMIN }, {})).rejects.toMatchObject({
    kind: 'Usage',
    hint: 'set username of the target',
  });
});

test('a NUL in a name adds nothing to what is sent', async () => {
  const secret = credential({
    ...{ username: 'app\0options\0-c role=boss', password: 'x' },
    ...{ host: '127.0.0.1', port: strange() },
  });
  for (const message of await messages(postgres, {}, secret))
    expect(message).toBe("the secret's username contains a NUL character");
  expect(fronts.map((front) => front.received())).toEqual(['', '']);
});

test('neither PG* variables nor a password file has a part in a sign-in', async () => {
  const names = {
    PGOPTIONS: '-c search_path=evil',
    PGREPLICATION: 'true',
    PGSSLNEGOTIATION: 'direct',
    PGSSLMODE: 'require',
    PGAPPNAME: 'evil',
    PGPASSWORD: 'evil',
    PGDATABASE: 'evil',
    PGHOST: '192.0.2.1',
  };
  Object.assign(process.env, names);
  try {
    const secret = credential({ username: 'app', password: 'x', host: '127.0.0.1', port: strange() });
    const { target } = await openTarget(postgres, {});
    await expect(target.verify(secret, never)).rejects.toThrow('requests the password in clear text');
  } finally {
    for (const name of Object.keys(names)) delete process.env[name];
  }
  expect(fronts[1]?.received()).toContain('user\0app\0database\0postgres\0');
  expect(fronts[1]?.received()).not.toMatch(/evil|replication|options/);
});
