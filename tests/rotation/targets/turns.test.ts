/**
 * What two users in turns are for: an application that gets the secret from the built program and signs in, again and
 * again, through fifty runs of `secrets rotate`, without one refused login.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeWith } from '../../backends/server.ts';
import { makePlace } from '../../e2e/program.ts';
import { MARIADB, POSTGRESQL } from './databases.ts';
import { sized } from '../../size.ts';
import { credential, startApplication } from './kit.ts';

const ROTATIONS = sized(3, 50);
/** As an application gets at a secret, by turns. */
const READERS = [
  'secrets get turns',
  'secrets exec --no-redact -e CREDENTIAL=turns -- printenv CREDENTIAL',
] as const;

for (const kind of [POSTGRESQL, MARIADB])
  describeWith(kind.title, kind.files, () => {
    test(`two users in turns: no login is refused through ${ROTATIONS} rotations`, async () => {
      const [server, place] = await Promise.all([kind.start(), makePlace()]);
      const ok = async (script: string): Promise<string> => {
        const { code, stdout, stderr } = await place.sh(script, { SECRETS_LOCAL_KEY_METHOD: 'key-file' });
        if (code !== 0) throw new Error(`${script} ended with ${code}: ${stderr}`);
        return stdout;
      };
      try {
        const users = ['app_a', 'app_b'];
        await server.sql(
          kind.user('app_a', 'first'),
          kind.user('app_b', 'not known to the secret'),
          ...kind.administrator('rotator-1', users),
        );
        const { database } = kind;
        const at = {
          host: '127.0.0.1',
          port: server.port,
          ...(database !== undefined && { dbname: database }),
        };
        const put = async (name: string, value: object): Promise<void> => {
          writeFileSync(join(place.cwd, 'value'), JSON.stringify(value));
          await ok(`secrets put --quiet ${name} --from-file value`);
        };
        await put('turns', { ...at, username: 'app_a', password: 'first' });
        await put('ops/admin', { ...at, username: 'rotator', password: 'rotator-1' });
        const target = { type: kind.descriptor.type, admin: 'local://ops/admin', users };
        const policy = { keys: ['password'], generate: 'alnum:24', grace: '1h', target };
        writeFileSync(join(place.cwd, 'secrets.yaml'), JSON.stringify({ rotation: { turns: policy } }));

        const used = new Map<string, string>();
        let reads = 0;
        const application = startApplication(1, server.accepts, async () => {
          reads += 1;
          // At any moment of a rotation, but not without a pause: that would take a core from it.
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 150));
          const read = JSON.parse(await ok(READERS[reads % 2] ?? '')) as Record<string, string>;
          used.set(read['password'] ?? '', read['username'] ?? '');
          return credential(read);
        });
        try {
          // The first value is seen, too.
          await application.graceTime();
          for (let round = 0; round < ROTATIONS; round += 1) {
            await ok('secrets rotate turns --trust');
            // Each rotation shuts out the user that the one before it replaced.
            await application.graceTime();
          }
        } finally {
          await application.stop();
        }
        // It has read each value, of each user in turns, and signed in with it; the first one included.
        expect([...used.values()]).toEqual(
          Array.from({ length: ROTATIONS + 1 }, (_, index) => users[index % 2]),
        );
        expect(application.logins.tried).toBeGreaterThan(ROTATIONS);
        expect(application.logins.refused).toBe(0);
        expect(await server.accepts('app_b', 'not known to the secret')).toBe(false);
      } finally {
        await server.stop();
        await place.remove();
      }
    }, 600_000);
  });
