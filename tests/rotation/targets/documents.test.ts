/** The statements and policies of docs/rotation-targets.md are enough for what they are said to be for. */
import { readFileSync } from 'node:fs';
import { awsIam } from '../../../src/rotation/targets/aws-iam/descriptor.ts';
import { mysql } from '../../../src/rotation/targets/mysql/descriptor.ts';
import { postgres } from '../../../src/rotation/targets/postgres/descriptor.ts';
import { targets } from '../../../src/rotation/targets/index.ts';
import { scenarioFiles, startAws } from '../../backends/aws.ts';
import { POSTGRES, POSTGRES_18, startPostgres } from '../../backends/postgres.ts';
import { describeWith } from '../../backends/server.ts';
import { MARIADB, MYSQL } from './databases.ts';
import { credential, known, never, openTarget, rotate, rotation } from './kit.ts';

const page = readFileSync(new URL('../../../docs/rotation-targets.md', import.meta.url), 'utf8');
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(([, text = '']) => text);

test('every target is on the page', () => {
  for (const { type } of targets) expect(page).toContain(`| \`${type}\` |`);
});

describe.each([POSTGRES, POSTGRES_18])('version $version', (programs) => {
  describeWith('documented grants of PostgreSQL', programs.files, () => {
    test('are enough for an administrator and two users', async () => {
      const [before16 = '', since16 = '', , users = ''] = blocks('sql');
      const server = await startPostgres({ programs });
      try {
        await server.sql(users, programs.version >= 16 ? since16 : before16);
        const at = { host: '127.0.0.1', port: server.port, dbname: 'postgres' };
        const admin = credential({ ...at, username: 'rotator', password: 'change me' });
        const settings = { admin: 'ops://db/rotator', users: ['app_a', 'app_b'] };
        const { target } = await openTarget(postgres, settings, { 'ops://db/rotator': admin });
        const current = credential({ ...at, username: 'app_a', password: 'change me' });
        expect((await target.check(known(current), never)).map(({ status }) => status)).toEqual([
          'ok',
          'ok',
          'ok',
          'ok',
        ]);
        const next = await rotate(target, current, credential({ ...current.fields, password: 'second' }));
        await target.retire?.(current, next, 'expired', never);
        expect(await server.accepts('app_b', 'second')).toBe(true);
        expect(await server.accepts('app_a', 'change me')).toBe(false);
      } finally {
        await server.stop();
      }
    });
  });
});

for (const { title, files, start, optional } of [MARIADB, MYSQL])
  describeWith(
    `documented grants of ${title}`,
    files,
    () => {
      test('are enough for an administrator', async () => {
        const grants = blocks('sql')[2] ?? '';
        const server = await start();
        try {
          await server.sql(
            ...grants.split(/;\n/).filter((line) => line.trim() !== ''),
            "CREATE USER app@'%' IDENTIFIED BY 'first'",
          );
          const at = { host: '127.0.0.1', port: server.port };
          const admin = credential({ ...at, username: 'rotator', password: 'change me' });
          const { target } = await openTarget(
            mysql,
            {
              admin: 'ops://a',
              username: 'app',
              ...(server.serverKey !== undefined && { 'server-key': server.serverKey }),
            },
            { 'ops://a': admin },
          );
          const current = credential({ ...at, username: 'app', password: 'first' });
          expect((await target.check(known(current), never)).map(({ status }) => status)).toEqual([
            'ok',
            'ok',
            'ok',
          ]);
          await rotate(target, current, credential({ ...current.fields, password: 'second' }));
        } finally {
          await server.stop();
        }
      });
    },
    optional,
  );

describeWith('the documented policy of AWS', scenarioFiles, () => {
  test('is enough for a user’s own key, and no right in it is more than that', async () => {
    const policy = JSON.parse(blocks('json')[0] ?? '') as {
      Statement: { Action: string[]; Resource: string }[];
    };
    const [statement] = policy.Statement;
    const aws = await startAws();
    try {
      // moto knows neither variables in a policy nor IAM's resources: the actions are what is shown here.
      const policyOf = (actions: readonly string[] = []) => ({
        ...policy,
        Statement: [{ ...statement, Action: actions, Resource: '*' }],
      });
      const turn = async (user: string, actions?: readonly string[]): Promise<void> => {
        const env = await aws.makeUser(user, policyOf(actions));
        const { AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = env;
        const current = credential({ AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY });
        const { target } = await openTarget(awsIam, { endpoint: aws.url });
        const now = rotation();
        await target.issue?.(known(current, current), now, never);
        const pending = (await target.issue?.(known(current, current), now, never)) ?? current;
        await target.retire?.(current, pending, 'expired', never);
      };
      await turn('all', statement?.Action);
      for (const action of statement?.Action ?? []) {
        const others = statement?.Action.filter((one) => one !== action);
        await expect(turn(action.slice(4), others)).rejects.toMatchObject({
          kind: 'Denied',
          message: `not allowed: ${action}`,
        });
      }
    } finally {
      await aws.stop();
    }
  });
});
