/** CloudFormation, as LocalStack has it, resolves what `secrets reference` prints. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeWith, WORK_DIR } from '../backends/server.ts';
import { makePlace, ROOT, run } from '../e2e/program.ts';
import { testNeeding } from '../needs.ts';

const LOCALSTACK = join(WORK_DIR, 'localstack-venv');
/** A network without an outside: LocalStack would call home. */
const [UNSHARE, ...FLAGS] = process.getuid?.() === 0 ? ['unshare', '-n'] : ['unshare', '-rn'];
const OWN_NETWORK = {
  name: 'namespaces of networks',
  met: spawnSync(UNSHARE as string, [...FLAGS, 'true']).status === 0,
  how: 'sudo npm test',
  installable: false,
};

describeWith(
  'CloudFormation',
  [join(LOCALSTACK, 'bin/aws')],
  () => {
    testNeeding(OWN_NETWORK)(
      'resolves a key, the previous stage and a version to their values',
      async () => {
        const place = await makePlace();
        try {
          const script = join(ROOT, 'tests/integrations/cloudformation.sh');
          const args = [...FLAGS, 'bash', script, LOCALSTACK];
          const env = { ...place.env, SECRETS_LOCAL_KEY_METHOD: 'key-file' };
          const { code, stdout, stderr } = await run(UNSHARE as string, args, { cwd: place.cwd, env });
          const log = join(place.cwd, 'localstack.log');
          const tail = existsSync(log) ? readFileSync(log, 'utf8').slice(-2000) : '';
          expect({ code, stderr, tail: code === 0 ? '' : tail }).toEqual({ code: 0, stderr: '', tail: '' });
          expect(Object.fromEntries(JSON.parse(stdout) as [string, string][])).toEqual({
            '/test/Key': 'second-value',
            '/test/Previous': 'first-value',
            '/test/Version': 'app',
          });
          expect(readFileSync(join(place.cwd, 'template.json'), 'utf8')).not.toMatch(/first-|second-value/);
        } finally {
          await place.remove();
        }
      },
      240_000,
    );
  },
  true,
);
