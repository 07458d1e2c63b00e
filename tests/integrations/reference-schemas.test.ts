/** `secrets reference` and the CI templates, checked by the schemas that GitLab, GitHub, AWS and Kubernetes publish. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { describeWith, WORK_DIR } from '../backends/server.ts';
import { makePlace, type Place, ROOT } from '../e2e/program.ts';
import { manifests } from './manifests.ts';

const CHECK = join(WORK_DIR, 'check-jsonschema-venv/bin/check-jsonschema');
const KUBERNETES = join(WORK_DIR, 'kubernetes-validate-venv/bin/kubernetes-validate');
const PYTHON = join(WORK_DIR, 'moto-venv/bin/python');

let place: Place;
beforeAll(async () => {
  place = await makePlace();
});
afterAll(() => place.remove());

/** Writes each document, and lets a program look at all of them. @returns what it says, empty if it takes them all */
function said(file: string, args: readonly string[], documents: readonly unknown[]): string {
  const paths = documents.map((document, index) => {
    const path = join(place.cwd, `${index}.yml`);
    writeFileSync(path, stringify(document));
    return path;
  });
  const { status, stdout, stderr } = spawnSync(file, [...args, ...paths]);
  return status === 0 ? '' : stdout.toString() + stderr.toString();
}

const gitlab = (...documents: unknown[]): string =>
  said(CHECK, ['--builtin-schema', 'vendor.gitlab-ci'], documents);

describeWith('the schemas of GitLab and GitHub', [CHECK], () => {
  test('take the secrets of a GitLab job', () => {
    const jobs = manifests('gitlab').map((text) => parse(text) as { secrets: Record<string, object> });
    expect(jobs.length).toBeGreaterThanOrEqual(6);
    const pipelines = jobs.map((job) => ({ deploy: { script: ['true'], ...job } }));
    expect(gitlab(...pipelines)).toBe('');
    const [first] = jobs;
    const mistaken = Object.fromEntries(Object.keys(first?.secrets ?? {}).map((name) => [name, { aws: {} }]));
    expect(gitlab({ deploy: { script: ['true'], secrets: mistaken } })).toContain('deploy');
  }, 60_000);

  test('take the GitLab component', () => {
    const [head, body] = parseAllDocuments(readFileSync(join(ROOT, 'templates/exec.yml'), 'utf8')).map(
      (document) => document.toJS() as Record<string, Record<string, unknown>>,
    );
    expect(gitlab(head, body)).toBe('');
    const [[name = '', job] = []] = Object.entries(body ?? {});
    expect(gitlab({ [name]: { ...job, id_tokens: { SECRETS_ID_TOKEN: { audience: 'x' } } } })).not.toBe('');
    expect(gitlab({ spec: { inputs: { job: { type: 'text' } } } })).not.toBe('');
  }, 60_000);

  test('take the GitHub action of this repository, and the steps for GitHub', () => {
    const action = parse(readFileSync(join(ROOT, 'action.yml'), 'utf8')) as object;
    const actionSchema = ['--builtin-schema', 'vendor.github-actions'];
    expect(said(CHECK, actionSchema, [action])).toBe('');
    expect(said(CHECK, actionSchema, [{ ...action, runs: {} }])).not.toBe('');
    const steps = manifests('github').flatMap((text) => parse(text) as object[]);
    const workflow = { on: 'push', jobs: { test: { 'runs-on': 'ubuntu-latest', steps } } };
    expect(said(CHECK, ['--builtin-schema', 'vendor.github-workflows'], [workflow])).toBe('');
  }, 60_000);
});

describeWith('AWS’s model of RegisterTaskDefinition', [PYTHON], () => {
  test('takes the secrets of a container', () => {
    const program = `import json, sys, botocore.session
from botocore.validate import ParamValidator
shape = botocore.session.get_session().get_service_model('ecs').operation_model('RegisterTaskDefinition').input_shape
for one in json.load(sys.stdin):
    print(ParamValidator().validate(one, shape).generate_report())`;
    const printed = manifests('ecs').map((text) => JSON.parse(text) as { secrets: object[] });
    expect(printed).toHaveLength(4);
    const task = (more: object): object => ({
      family: 'f',
      containerDefinitions: [{ name: 'c', image: 'i', ...more }],
    });
    const reports = (tasks: readonly object[]): string[] => {
      const { stdout, stderr } = spawnSync(PYTHON, ['-c', program], { input: JSON.stringify(tasks) });
      expect(stderr.toString()).toBe('');
      return stdout.toString().split('\n').slice(0, -1);
    };
    expect(reports(printed.map((more) => task(more)))).toEqual(['', '', '', '']);
    const [mistaken] = reports([task({ secrets: [{ name: 'A', value: 'b' }] })]);
    expect(mistaken).toContain('Missing required parameter');
  }, 60_000);
});

describeWith('Kubernetes’ schema of a container', [KUBERNETES], () => {
  test('takes the variables for Cloud Run', () => {
    const variables = manifests('cloud-run').map((text) => parse(text) as object[]);
    expect(variables.length).toBeGreaterThanOrEqual(2);
    const pod = (env: object[]): object => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'run' },
      spec: { containers: [{ name: 'run', image: 'i', env }] },
    });
    expect(
      said(
        KUBERNETES,
        ['--strict'],
        variables.map((env) => pod(env)),
      ),
    ).toBe('');
    expect(said(KUBERNETES, ['--strict'], [pod([{ name: 'A', valueFrom: { secret: {} } }])])).not.toBe('');
  }, 60_000);
});

test.each([
  ['cloudformation', 'version=1}}{{resolve:ssm:other'],
  ['cdk', 'version=1"})'],
  ['ecs', 'version=1:2'],
  ['gitlab', 'version=1%0a'],
])('what would end a reference for %s is refused: ?%s', async (tool, query) => {
  const env = { AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'y' };
  const arn = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:pay/db-AbCdEf';
  const refused = await place.sh(
    `secrets reference '${tool === 'ecs' ? arn : 'aws://pay/db'}?${query}' --for ${tool}`,
    env,
  );
  expect([refused.code, refused.stdout]).toEqual([2, '']);
  expect(refused.stderr).toMatch(/^secrets: .*\n$/);
});
