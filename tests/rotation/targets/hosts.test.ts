/** Which of several servers of a database is asked, and what its answer counts for. */
import { SecretsError } from '../../../src/core/errors.ts';
import {
  type Connection,
  type DatabaseDriver,
  SignInRefused,
} from '../../../src/rotation/targets/database/connection.ts';
import { withSeveralHosts } from '../../../src/rotation/targets/database/hosts.ts';
import { never } from './kit.ts';

type Server = 'primary' | 'standby' | 'refuses' | 'away' | 'broken';

/** Servers a, b, …, as they are now; says which were asked. */
function cluster(servers: Server[]): {
  connect: () => Promise<string>;
  servers: Server[];
  asked: string[];
  open: string[];
} {
  const [asked, open]: [string[], string[]] = [[], []];
  const driver: DatabaseDriver = {
    schemes: [],
    port: 1,
    connect: async ({ host }): Promise<Connection> => {
      asked.push(host);
      const server = servers[host.charCodeAt(0) - 97];
      if (server === 'refuses') throw new SignInRefused(undefined);
      if (server === 'away') throw new SecretsError('Unavailable', 'away');
      if (server === 'broken') throw new SecretsError('Denied', 'broken');
      open.push(host);
      return {
        host,
        takesChanges: async () => server === 'primary',
        close: async () => {
          open.splice(open.indexOf(host), 1);
        },
      } as unknown as Connection;
    },
  };
  const several = withSeveralHosts(driver);
  const [first = '', ...others] = servers.map((_, index) => String.fromCharCode(97 + index));
  const login = {
    host: first,
    port: 1,
    database: undefined,
    username: 'app',
    password: 'p',
    others: others.map((host) => ({ host, port: 1 })),
  };
  return {
    servers,
    asked,
    open,
    connect: async () => {
      const connection = await several.connect(login, { ca: undefined }, never);
      return (connection as unknown as { host: string }).host;
    },
  };
}

test.each<[Server[], string]>([
  [['primary', 'primary'], 'a'],
  [['away', 'primary'], 'b'],
  [['standby', 'primary', 'standby'], 'b'],
  // A standby may not know of a new password yet.
  [['refuses', 'primary'], 'b'],
  [['standby', 'away'], 'a'],
  [['standby', 'standby'], 'a'],
])('of %j, %s', async (servers, wanted) => {
  const { connect, open } = cluster(servers);
  expect(await connect()).toBe(wanted);
  expect(open).toEqual([wanted]);
});

test.each<[Server[], object]>([
  [['refuses', 'refuses'], { constructor: SignInRefused }],
  // It takes an old password still, which the other one does not.
  [['standby', 'refuses'], { constructor: SignInRefused }],
  [['away', 'refuses'], { constructor: SignInRefused }],
  [['away', 'away'], { kind: 'Unavailable' }],
  [['broken', 'primary'], { kind: 'Denied' }],
])('of %j, none', async (servers, error) => {
  const { connect, open } = cluster(servers);
  await expect(connect()).rejects.toMatchObject(error);
  expect(open).toEqual([]);
});

test('once known, the one that takes changes has the last word, as long as it is there', async () => {
  const { connect, asked, servers } = cluster(['standby', 'primary']);
  await connect();
  asked.length = 0;
  servers[1] = 'refuses';
  await expect(connect()).rejects.toBeInstanceOf(SignInRefused);
  expect(asked).toEqual(['b']);
  servers.splice(0, 2, 'primary', 'away');
  expect(await connect()).toBe('a');
});
