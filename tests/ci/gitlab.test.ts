/** templates/exec.yml: inputs are filled in as GitLab does, and the job's script is run by bash. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ROOT } from '../e2e/program.ts';
import { Box, NODE, PROGRAM } from '../exec/setup.ts';

interface Input {
  readonly type?: string;
  readonly default?: string;
  readonly options?: readonly string[];
  readonly regex?: string;
}
type Inputs = Readonly<Record<string, string | readonly string[]>>;
interface Spec {
  readonly spec: {
    readonly inputs: Readonly<Record<string, Input>>;
  };
}
type Variable = string | { readonly value: string; readonly expand: boolean };
interface Job {
  readonly variables: Readonly<Record<string, Variable>>;
  readonly id_tokens: Readonly<Record<string, { readonly aud: string }>>;
  readonly script: readonly string[];
}

const [head = '', body = ''] = readFileSync(join(ROOT, 'templates/exec.yml'), 'utf8').split(/^---$/m);
const { inputs } = (parse(head) as Spec).spec;

let box: Box;
beforeEach(() => {
  box = new Box();
  mkdirSync(join(box.root, 'bin'));
  writeFileSync(join(box.root, 'bin/secrets'), `#!/bin/sh\nexec ${NODE} ${PROGRAM} "$@"\n`, { mode: 0o755 });
  box.put('app/db', '{"url":"postgres-url-value"}');
  box.write('secrets.yaml', 'env:\n  DATABASE_URL: local://app/db#url\n');
});
afterEach(() => box.remove());

/** What GitLab puts into the text: a string as it is, a list as JSON in the way of Rails. @throws for a wrong input */
function inserted(name: string, given: Inputs): string {
  const { type, options, regex, default: otherwise } = inputs[name] as Input;
  const value = given[name] ?? otherwise;
  if (value === undefined) throw new Error(`the input ${name} is missing`);
  if (typeof value !== 'string') {
    if (type !== 'array') throw new Error(`the input ${name} is no list`);
    return JSON.stringify(value).replaceAll(
      /[<>&\u2028\u2029]/g,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  }
  if (type === 'array') throw new Error(`the input ${name} is a list`);
  if (options?.includes(value) === false) throw new Error(`the input ${name} is not among the options`);
  if (regex !== undefined && !new RegExp(regex).test(value))
    throw new Error(`the input ${name} does not match`);
  return value;
}

/** The job that GitLab makes: inputs first, then YAML. */
function jobOf(given: Inputs): { readonly job: Job; readonly variables: Readonly<Record<string, string>> } {
  for (const name of Object.keys(given)) expect(Object.keys(inputs)).toContain(name);
  const text = body.replaceAll(/\$\[\[ inputs\.([\w-]+) \]\]/g, (_, name: string) => inserted(name, given));
  const [job, ...more] = Object.values(parse(text) as Readonly<Record<string, Job>>);
  if (job === undefined || more.length > 0) throw new Error('not one job');
  const variables = Object.entries(job.variables).map(([name, one]): [string, string] => [
    name,
    typeof one === 'string' ? one : one.value,
  ]);
  return { job, variables: Object.fromEntries(variables) };
}

/** Runs the job with these inputs. */
function play(given: Inputs): {
  readonly code: number | null;
  readonly log: string;
} {
  const { job, variables } = jobOf(given);
  const { status, stdout, stderr } = spawnSync('bash', ['-e', '-c', job.script.join('\n')], {
    cwd: box.cwd,
    env: {
      ...box.env,
      PATH: `${join(box.root, 'bin')}:${NODE.replace(/\/[^/]*$/, '')}:${box.env['PATH']}`,
      CI: 'true',
      SECRETS_ID_TOKEN: 'id-token-of-the-job',
      AWS_ACCESS_KEY_ID: 'of-the-project',
      ...variables,
    },
    encoding: 'utf8',
  });
  expect(readdirSync(join(box.root, 'tmp'))).toEqual([]);
  return { code: status, log: stdout + stderr };
}

test('the script gets the variables, masked, and not the job’s ID token', () => {
  const script = ['echo "with $DATABASE_URL, ${SECRETS_ID_TOKEN:-no token}, ${VAULT_JWT:-no token}"'];
  expect(play({ script, 'sign-in': 'vault' })).toEqual({ code: 0, log: 'with ***, no token, no token\n' });
});

test('a script of any lines is what is run', () => {
  const lines = [
    `echo 'it'"'"'s' "a: b # c" <<<x`,
    'if true; then\n  echo "two\n\n  lines"\nfi',
    `printf '%s|' '\\' '\\n' "$((1 + 1))" '$HOME' '[[ inputs.job ]]'; echo`,
    'cat <<E\n- x: {y}\nE',
  ];
  expect(play({ script: lines })).toEqual({
    code: 0,
    log: "it's a: b # c\ntwo\n\n  lines\n\\|\\n|2|$HOME|[[ inputs.job ]]|\n- x: {y}\n",
  });
});

test('its exit code is the job’s, and a secrets.yaml that is not trusted is 125', () => {
  expect(play({ script: ['exit 7'] }).code).toBe(7);
  box.write('secrets.yaml', 'env:\n  ODD_NAME: local://app/db#url\n');
  expect(play({ script: ['true'], trusted: '0'.repeat(64) })).toMatchObject({
    code: 125,
    log: expect.stringContaining('not trusted') as string,
  });
});

test.each([
  ['aws', { 'aws-role': 'arn:role' }, /^id-token-of-the-job arn:role {3}$/],
  [
    'azure',
    { 'azure-client-id': 'client', 'azure-tenant-id': 'tenant' },
    /^id-token-of-the-job  client tenant of-the-project$/,
  ],
  [
    'gcp',
    {
      'gcp-provider': 'projects/1/locations/global/workloadIdentityPools/ci/providers/gitlab',
      'gcp-service-account': 'a@b.example',
    },
    /^\{"type":"external_account","audience":"\/\/iam\.googleapis\.com\/projects\/1\/.*\/providers\/gitlab",.*"file":"\/.*\/token"\},"service_.*\/a@b\.example:generateAccessToken"\} /,
  ],
])('the sign-in to %s', (cloud, more, seen) => {
  // In place of the program: what it would find.
  writeFileSync(
    join(box.root, 'bin/secrets'),
    '#!/bin/sh\necho "$(cat "$AWS_WEB_IDENTITY_TOKEN_FILE$AZURE_FEDERATED_TOKEN_FILE$GOOGLE_APPLICATION_CREDENTIALS") $AWS_ROLE_ARN $AZURE_CLIENT_ID $AZURE_TENANT_ID $AWS_ACCESS_KEY_ID"\n',
  );
  const { code, log } = play({ script: ['true'], 'sign-in': cloud, ...more });
  expect(code).toBe(0);
  expect(log.slice(0, -1)).toMatch(seen);
  if (cloud === 'gcp') expect(JSON.parse(log.split('} ')[0] + '}')).toHaveProperty('credential_source.file');
});

test('an input that would be more than a value in the text is refused', () => {
  const script = ['true'];
  for (const [name, { type, options, regex }] of Object.entries(inputs)) {
    if (type === 'array') continue;
    expect([name, options ?? regex]).not.toEqual([name, undefined]);
    for (const hostile of ["a'", 'a"', 'a\n  b: c', 'a\nscript: [x]', '$(touch ran)', 'a`b`', "x' # "])
      expect(() => jobOf({ script, [name]: hostile })).toThrow(`the input ${name}`);
  }
  expect(() => jobOf({ script: 'true' })).toThrow('is a list');
});

test('docs/ci.md includes the component with inputs that it has', () => {
  const page = readFileSync(join(ROOT, 'docs/ci.md'), 'utf8');
  const example = /```yaml\n(include:\n[^]*?)```/.exec(page)?.[1] ?? '';
  const { include } = parse(example) as {
    readonly include: readonly { readonly inputs: Inputs }[];
  };
  expect(include).toHaveLength(1);
  for (const [name, value] of Object.entries(include[0]?.inputs ?? {})) {
    expect([name, Object.keys(inputs)]).toEqual([name, expect.arrayContaining([name])]);
    expect(() => inserted(name, { [name]: value })).not.toThrow();
  }
});
