/** The names that `--from` makes, and the texts that it takes for a prefix. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Box } from './setup.ts';

let box: Box;
beforeAll(() => {
  box = new Box();
  box.put('app/db', JSON.stringify({ user: 'app', 'pass-word': 'p1', port: 5432 }));
});
afterAll(() => box.remove());

/** The environment of a child. */
async function envOf(args: readonly string[]): Promise<Record<string, string>> {
  const show = ['--', process.execPath, '-e', 'process.stdout.write(JSON.stringify(process.env))'];
  const { stdout, stderr, code } = await box.run(['exec', ...args, ...show]);
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`);
  return JSON.parse(stdout) as Record<string, string>;
}

describe('the variables of --from', () => {
  test('have the prefix before capital letters, or before those they had', async () => {
    expect(await envOf(['--from', 'app/db', '--prefix', 'P_'])).toMatchObject({
      P_USER: 'app',
      P_PASS_WORD: 'p1',
    });
    expect(await envOf(['--from', 'app/db', '--prefix', 'P_', '--case', 'keep'])).toMatchObject({
      P_user: 'app',
      P_pass_word: 'p1',
    });
  });

  test('are what an env file had before it was imported', async () => {
    const variables = {
      TF_VAR_db_password: 'x #y',
      Mixed_Token: "it's",
      API_KEY: '0042',
      lower_secret: 'a\nb',
    };
    const lines = Object.entries(variables).map(
      ([name, value]) => `${name}=${value.includes("'") ? `"${value}"` : `'${value}'`}`,
    );
    writeFileSync(join(box.cwd, 'trip.env'), `${lines.join('\n')}\n`);
    expect((await box.run(['import', 'trip.env', 'trip'])).code).toBe(0);
    expect(await envOf(['--from', 'trip'])).toMatchObject(variables);
    expect((await box.run(['import', 'trip.env', 'trips/'])).code).toBe(0);
    expect(await envOf(['--from', 'trips/'])).toMatchObject(variables);
    // What programs obey is for the user to name, and has the name that it is given.
    box.put('obeyed', '{"http_proxy":"y"}');
    const obeyed = await box.run(['exec', '--from', 'obeyed', '--', 'true']);
    expect(obeyed.code).toBe(125);
    expect(obeyed.stderr).toMatch(/would become http_proxy, .*--allow http_proxy/);
    box.put('obeyed', '{"http_proxy":"y","TF_VAR_db_password":"x"}');
    expect(await envOf(['--from', 'obeyed', '-e', 'http_proxy=obeyed#http_proxy'])).toMatchObject({
      http_proxy: 'y',
      TF_VAR_db_password: 'x',
    });
    // With the user's word for them, the same environment comes back whatever its names say.
    const steering = {
      http_proxy: 'http://proxy:3128',
      FEATURES: 'a',
      WORKERS: '4',
      NODE_OPTIONS: '--no-warnings',
      HOME: '/x',
    };
    box.put('steering', JSON.stringify({ ...steering, API_KEY: 'k' }));
    const listed = await box.run([
      'exec',
      '--from',
      'steering',
      '--allow',
      'NODE_OPTIONS,HOME',
      '--',
      'true',
    ]);
    expect(listed.code).toBe(125);
    expect(listed.stderr).toMatch(/http_proxy, which decides.*--allow http_proxy$/m);
    expect(listed.stderr).toMatch(/FEATURES, which .*\(so do WORKERS\).*--allow FEATURES,WORKERS;/);
    expect(
      await envOf([
        '--from',
        'steering',
        '--allow',
        'http_proxy,FEATURES,WORKERS',
        '--allow',
        'NODE_OPTIONS,HOME',
      ]),
    ).toMatchObject({ ...steering, API_KEY: 'k' });
    for (const [args, message] of [
      [['--from', 'steering', '--allow', 'http-proxy'], /"http-proxy" is not a valid variable name/],
      [['--allow', 'PORT'], /--allow is about the names from --from/],
    ] as const) {
      const refused = await box.run(['exec', ...args, '--', 'true']);
      expect([refused.code, refused.stderr]).toEqual([125, expect.stringMatching(message)]);
    }
  });

  test('come from each secret under a prefix that ends in a star', async () => {
    for (const name of ['star-db-url', 'star-api_key', 'other-key']) box.put(name, name);
    const env = await envOf(['--from', 'star-*']);
    expect(env).toMatchObject({ DB_URL: 'star-db-url', api_key: 'star-api_key' });
    expect(await envOf(['--from', 'local://star-*', '--prefix', 'P_'])).toMatchObject({
      P_API_KEY: 'star-api_key',
    });
    expect(Object.values(env)).not.toContain('other-key');
    // Such an end of a key is no prefix.
    box.put('keyed', '{"a*":{"token":"inner"},"b/":{"token":"slash"}}');
    expect(await envOf(['--from', 'keyed#a*'])).toMatchObject({ token: 'inner' });
    expect(await envOf(['--from', 'keyed#b/'])).toMatchObject({ token: 'slash' });
  });
});
