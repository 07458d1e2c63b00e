/** templates/exec.yml: inputs are filled in as GitLab does, and the job's script is run by bash. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { ROOT } from '../e2e/program.ts';
import { Box, NODE, PROGRAM } from '../exec/setup.ts';

interface Spec {
  readonly spec: {
    readonly inputs: Readonly<Record<string, { readonly default?: string; readonly options?: string[] }>>;
  };
}
type Variable = string | { readonly value: string; readonly expand: boolean };
interface Job {
  readonly variables: Readonly<Record<string, Variable>>;
  readonly id_tokens: Readonly<Record<string, { readonly aud: string }>>;
  readonly script: readonly string[];
}

const [head, body] = parseAllDocuments(readFileSync(join(ROOT, 'templates/exec.yml'), 'utf8')).map(
  (document) => document.toJS() as unknown,
);
const { inputs } = (head as Spec).spec;

let box: Box;
beforeEach(() => {
  box = new Box();
  mkdirSync(join(box.root, 'bin'));
  writeFileSync(join(box.root, 'bin/secrets'), `#!/bin/sh\nexec ${NODE} ${PROGRAM} "$@"\n`, { mode: 0o755 });
  box.put('app/db', '{"url":"postgres-url-value"}');
  box.write('secrets.yaml', 'env:\n  DATABASE_URL: local://app/db#url\n');
});
afterEach(() => box.remove());

/** Runs the job with these inputs. */
function play(given: Readonly<Record<string, string>>): {
  readonly code: number | null;
  readonly log: string;
} {
  for (const name of Object.keys(given)) expect(Object.keys(inputs)).toContain(name);
  const fill = (text: string): string =>
    text.replace(/\$\[\[ inputs\.([\w-]+) \]\]/g, (_, name: string) => {
      const value = given[name] ?? inputs[name]?.default;
      if (value === undefined) throw new Error(`the input ${name} is missing`);
      return value;
    });
  const [job] = Object.values(body as Readonly<Record<string, Job>>);
  if (job === undefined) throw new Error('no job');
  const variables = Object.entries(job.variables).map(([name, one]): [string, string] => [
    name,
    fill(typeof one === 'string' ? one : one.value),
  ]);
  for (const line of job.script) expect(line).not.toContain('$[[');
  const { status, stdout, stderr } = spawnSync('bash', ['-e', '-c', job.script.join('\n')], {
    cwd: box.cwd,
    env: {
      ...box.env,
      PATH: `${join(box.root, 'bin')}:${box.env['PATH']}`,
      CI: 'true',
      SECRETS_ID_TOKEN: 'id-token-of-the-job',
      ...Object.fromEntries(variables),
    },
    encoding: 'utf8',
  });
  expect(readdirSync(join(box.root, 'tmp'))).toEqual([]);
  return { code: status, log: stdout + stderr };
}

test('the script gets the variables, masked, and not the job’s ID token', () => {
  const script = 'echo "with $DATABASE_URL, ${SECRETS_ID_TOKEN:-no token}, ${VAULT_JWT:-no token}"';
  expect(play({ script, 'sign-in': 'vault' })).toEqual({ code: 0, log: 'with ***, no token, no token\n' });
});

test('its exit code is the job’s, and a secrets.yaml that is not trusted is 125', () => {
  expect(play({ script: 'exit 7' }).code).toBe(7);
  box.write('secrets.yaml', 'env:\n  ODD_NAME: local://app/db#url\n');
  expect(play({ script: 'true', trusted: '0'.repeat(64) })).toMatchObject({
    code: 125,
    log: expect.stringContaining('not trusted') as string,
  });
});

test.each([
  ['aws', { 'aws-role': 'arn:role' }, 'id-token-of-the-job arn:role  '],
  [
    'azure',
    { 'azure-client-id': 'client', 'azure-tenant-id': 'tenant' },
    'id-token-of-the-job  client tenant',
  ],
])('the sign-in to %s', (cloud, more, seen) => {
  // In place of the program: what it would find.
  writeFileSync(
    join(box.root, 'bin/secrets'),
    '#!/bin/sh\necho "$(cat "$AWS_WEB_IDENTITY_TOKEN_FILE$AZURE_FEDERATED_TOKEN_FILE") $AWS_ROLE_ARN $AZURE_CLIENT_ID $AZURE_TENANT_ID"\n',
  );
  expect(play({ script: 'true', 'sign-in': cloud, ...more })).toEqual({ code: 0, log: `${seen}\n` });
});

test('an input that looks like a command is none', () => {
  const hostile = '$(touch ran)`touch ran`";touch ran;"\'';
  play({ script: 'true', trusted: hostile, 'sign-in': hostile, 'aws-role': hostile });
  expect(existsSync(join(box.cwd, 'ran'))).toBe(false);
});

test('docs/ci.md includes the component with inputs that it has', () => {
  const page = readFileSync(join(ROOT, 'docs/ci.md'), 'utf8');
  const example = /```yaml\n(include:\n[^]*?)```/.exec(page)?.[1] ?? '';
  const { include } = parse(example) as {
    readonly include: readonly { readonly inputs: Record<string, string> }[];
  };
  expect(include).toHaveLength(1);
  for (const [name, value] of Object.entries(include[0]?.inputs ?? {})) {
    const options = inputs[name]?.options;
    expect([name, Object.keys(inputs)]).toEqual([name, expect.arrayContaining([name])]);
    if (options !== undefined) expect(options).toContain(value);
  }
});
