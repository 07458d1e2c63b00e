/** `rotate rollback --to-previous` with real systems: the old credential works again, in the target and in the store. */
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { scenarioFiles as AWS_FILES, startAws } from '../../backends/aws.ts';
import { describeWith } from '../../backends/server.ts';
import { makePlace, type Outcome, type Place } from '../../e2e/program.ts';
import { MARIADB, POSTGRESQL } from './databases.ts';

interface Scene {
  readonly value: string;
  readonly policy: object;
  /** Whether the system takes this value. */
  accepts(value: string): Promise<boolean>;
  /** Whether the value that was replaced is switched off at once. */
  readonly ends: boolean;
  /** Whether `--due` ends a replaced value whose grace time is over. */
  readonly retires: boolean;
  stop(): Promise<void>;
}

type Shell = (script: string, env?: Readonly<Record<string, string>>) => Promise<Outcome>;

interface Kind {
  readonly title: string;
  readonly files: readonly string[];
  start(place: Place, sh: Shell): Promise<Scene>;
}

const KINDS: readonly Kind[] = [
  ...[
    { kind: POSTGRESQL, turns: false },
    { kind: POSTGRESQL, turns: true },
    { kind: MARIADB, turns: true },
  ].map(({ kind, turns }): Kind => {
    const title = `${kind.title}, ${turns ? 'two users in turns' : 'a user alone'}`;
    return {
      title,
      files: kind.files,
      start: async (place, sh) => {
        const server = await kind.start();
        await server.sql(
          kind.user('a', 'first'),
          kind.user('b', 'never known'),
          ...kind.administrator('rotator-1', ['a', 'b']),
        );
        const { database } = kind;
        const at = {
          host: '127.0.0.1',
          port: server.port,
          ...(database !== undefined && { dbname: database }),
        };
        const admin = JSON.stringify({ ...at, username: 'rotator', password: 'rotator-1' });
        writeFileSync(join(place.cwd, 'admin'), admin);
        await sh('secrets put --quiet admin --from-file admin');
        const { type } = kind.descriptor;
        return {
          value: JSON.stringify({ ...at, username: 'a', password: 'first' }),
          policy: {
            keys: ['password'],
            target: { type, ...(turns && { admin: 'local://admin', users: ['a', 'b'] }) },
          },
          accepts: (value) => {
            const { username, password } = JSON.parse(value) as { username: string; password: string };
            return server.accepts(username, password);
          },
          ends: !turns,
          retires: turns,
          stop: () => server.stop(),
        };
      },
    };
  }),
  {
    title: 'an access key of AWS that is switched off',
    files: AWS_FILES,
    start: async (_place, sh) => {
      const aws = await startAws();
      const Action = ['iam:*', 'secretsmanager:ListSecrets'];
      const Statement = [{ Effect: 'Allow', Action, Resource: '*' }];
      const env = await aws.makeUser('app', { Version: '2012-10-17', Statement });
      const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = env;
      return {
        value: JSON.stringify({ AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY }),
        policy: { target: { type: 'aws-iam', endpoint: aws.url, deactivate: true } },
        accepts: async (value) => {
          const key = JSON.parse(value) as Record<string, string>;
          const { code } = await sh('secrets list aws://', { ...env, ...key });
          expect([0, 4]).toContain(code);
          return code === 0;
        },
        ends: true,
        retires: true,
        stop: () => aws.stop(),
      };
    },
  },
  {
    title: 'an HTTP call',
    files: [],
    start: async () => {
      let key = 'first';
      const server = createServer((request, response) => {
        let body = '';
        request.on('data', (chunk: Buffer) => (body += chunk.toString()));
        request.on('end', () => {
          const holder = request.headers.authorization === `Bearer ${key}`;
          if (holder && request.method === 'PUT') key = (JSON.parse(body) as { key: string }).key;
          response.writeHead(holder ? 204 : 401).end();
        });
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const address = server.address();
      const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/key`;
      const call = { url, headers: { authorization: 'Bearer {{old}}' }, body: { key: '{{new}}' } };
      return {
        value: 'first',
        policy: {
          target: {
            type: 'http',
            apply: { method: 'PUT', ...call },
            verify: { url, headers: { authorization: 'Bearer {{new}}' } },
          },
        },
        accepts: async (value) => value === key,
        ends: true,
        retires: false,
        stop: async () => {
          server.closeAllConnections();
          await new Promise<void>((resolve) => server.close(() => resolve()));
        },
      };
    },
  },
  {
    title: 'a program',
    files: [],
    start: async ({ cwd }, sh) => {
      // Keeps hashes of what it accepts, one a line; the replaced one until it is told that its time is over.
      const script = [
        '#!/bin/sh',
        'input=$(cat)',
        `hash() { printf %s "$input" | jq -j ".$1.value" | sha256sum | cut -c1-64; }`,
        `case $(printf %s "$input" | jq -r .event+.phase) in`,
        'apply) hash new >> accepted ;;',
        'verify) grep -qx "$(hash new)" accepted || exit 10 ;;',
        'retireexpired) grep -vx "$(hash old)" accepted > rest; mv rest accepted ;;',
        'esac',
      ].join('\n');
      writeFileSync(join(cwd, 'hook'), `${script}\n`);
      chmodSync(join(cwd, 'hook'), 0o755);
      await sh('printf first | sha256sum | cut -c1-64 > accepted');
      return {
        value: 'first',
        policy: { target: { type: 'program', apply: './hook', verify: './hook', retire: './hook' } },
        accepts: async (value) =>
          (await sh(`grep -qx "$(printf %s "$VALUE" | sha256sum | cut -c1-64)" accepted`, { VALUE: value }))
            .code === 0,
        ends: false,
        retires: true,
        stop: async () => {},
      };
    },
  },
];

for (const { title, files, start } of KINDS)
  describeWith(title, files, () => {
    let place: Place;
    let scene: Scene;
    const sh: Shell = (script, env = {}) =>
      place.sh(script, { SECRETS_LOCAL_KEY_METHOD: 'key-file', ...env });
    const ok = async (script: string): Promise<string> => {
      const { code, stdout, stderr } = await sh(script);
      const told = stderr.replace(/^secrets: warning: made an encrypted store .*\n/, '');
      expect([script, code, told]).toEqual([script, 0, '']);
      return stdout;
    };
    const policy = (grace: string): void =>
      writeFileSync(
        join(place.cwd, 'secrets.yaml'),
        JSON.stringify({ rotation: { it: { ...scene.policy, grace } } }),
      );
    beforeAll(async () => {
      place = await makePlace();
      scene = await start(place, sh);
      writeFileSync(join(place.cwd, 'value'), scene.value);
      await ok('secrets put --quiet it --from-file value');
    });
    afterAll(async () => {
      await scene?.stop();
      await place?.remove();
    });

    test('within its grace time the old one works again, the new one is the previous one', async () => {
      policy('1h');
      await ok('secrets rotate it --trust');
      const second = await ok('secrets get it');
      expect([await scene.accepts(second), await scene.accepts(scene.value)]).toEqual([true, !scene.ends]);
      await ok('secrets rotate rollback it --to-previous --trust');
      expect([await ok('secrets get it'), await ok('secrets get "it?stage=previous"')]).toEqual([
        scene.value,
        second,
      ]);
      expect(await sh('secrets get "it?stage=pending"')).toMatchObject({ code: 3 });
      expect([await scene.accepts(scene.value), await scene.accepts(second)]).toEqual([true, !scene.ends]);
    });

    test('past it that is said, and nothing is changed', async () => {
      policy('1s');
      await ok('secrets rotate it --trust');
      const third = await ok('secrets get it');
      const isOver = async (): Promise<void> => {
        expect(await sh('secrets rotate rollback it --to-previous --trust')).toMatchObject({
          code: 5,
          stderr: expect.stringMatching(/the grace time of the previous value ended at \d{4}-/),
        });
        expect([await ok('secrets get it'), await scene.accepts(third)]).toEqual([third, true]);
      };
      await ok('sleep 1.2');
      await isOver();
      // And once the old one is gone.
      await ok('secrets rotate --due --trust');
      expect(await scene.accepts(scene.value)).toBe(!scene.ends && !scene.retires);
      await isOver();
    });
  });
