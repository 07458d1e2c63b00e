/** `secrets reference`: what it prints is taken by the programs and schemas that it is for. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { WRITE_ONLY } from '../../src/core/native-reference/aws.ts';
import { accessesIn, logOf } from '../audit/program.ts';
import { scenarioFiles as awsFiles, startForScenarios as startAws } from '../backends/aws.ts';
import {
  type Azure,
  scenarioFiles as azureFiles,
  startAzure as startAzureAlone,
  startForScenarios as startAzure,
} from '../backends/azure.ts';
import { scenarioFiles as gcpFiles, startForScenarios as startGcp } from '../backends/gcp.ts';
import { describeWith, WORK_DIR } from '../backends/server.ts';
import { scenarioFiles as vaultFiles, startForScenarios as startVault } from '../backends/vault.ts';
import { makePlace, type Outcome, type Place, ROOT } from '../e2e/program.ts';
import { manifests } from './manifests.ts';

const PYTHON = join(WORK_DIR, 'moto-venv/bin/python');
const CFN_LINT = join(WORK_DIR, 'moto-venv/bin/cfn-lint');
const [ACTIONLINT = 'actionlint'] = readdirSync(WORK_DIR).filter((name) => name.startsWith('actionlint-'));

interface Schema {
  readonly type?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: unknown;
  items?: Schema;
}

/** A cluster prunes what a schema doesn't know: here it is a mistake. */
function closed(schema: Schema): Schema {
  if (schema.properties !== undefined) {
    for (const one of Object.values(schema.properties)) closed(one);
    if (schema.additionalProperties === undefined && Object.keys(schema.properties).length > 0)
      schema.additionalProperties = false;
  }
  if (schema.items !== undefined) closed(schema.items);
  return schema;
}

/** Kubernetes' own definitions of custom resources, unchanged: tests/backends/kubernetes. */
function validatorOf(file: string, version: string): (manifest: unknown) => unknown {
  const text = readFileSync(join(ROOT, 'tests/backends/kubernetes', file), 'utf8');
  const crd = parse(text) as {
    spec: { versions: { name: string; schema: { openAPIV3Schema: Schema } }[] };
  };
  const schema = crd.spec.versions.find(({ name }) => name === version)?.schema.openAPIV3Schema;
  if (schema === undefined) throw new Error(`${file} has no version ${version}`);
  const metadata = { type: 'object', properties: { name: { type: 'string' } } };
  const whole = closed({ ...schema, properties: { ...schema.properties, metadata } });
  const validate = new Ajv2020({ strict: false, validateFormats: false, allErrors: true }).compile(whole);
  return (manifest) => (validate(manifest) ? [] : validate.errors);
}

test.each([
  ['external-secrets', 'external-secrets.io_externalsecrets.yaml', 'v1', 10],
  ['kubernetes', 'secrets-store.csi.x-k8s.io_secretproviderclasses.yaml', 'v1', 6],
  ['eks-csi', 'secrets-store.csi.x-k8s.io_secretproviderclasses.yaml', 'v1', 4],
])('manifests for %s fit %s', (tool, file, version, least) => {
  const errorsOf = validatorOf(file, version);
  const printed = manifests(tool);
  expect(printed.length).toBeGreaterThanOrEqual(least);
  for (const text of printed) {
    const documents = parseAllDocuments(text, { strict: true });
    expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
    const [manifest] = documents.map((document) => document.toJS() as { spec: object });
    expect({ text, errors: errorsOf(manifest) }).toEqual({ text, errors: [] });
    expect(errorsOf({ ...manifest, spec: { ...manifest?.spec, mistake: 1 } })).not.toEqual([]);
    // The CSI driver's list is YAML in a text.
    const { parameters } = (manifest?.spec ?? {}) as { parameters?: Readonly<Record<string, string>> };
    const list = parameters?.['objects'] ?? parameters?.['secrets'];
    if (tool !== 'external-secrets') expect(parse(list ?? '')).toBeInstanceOf(Object);
  }
});

describeWith('actionlint takes the steps for GitHub', [join(WORK_DIR, ACTIONLINT)], () => {
  test('with every input that the actions have', async () => {
    const place = await makePlace();
    try {
      const steps = manifests('github').flatMap((text) => parse(text) as object[]);
      expect(steps.length).toBeGreaterThanOrEqual(3);
      const file = join(place.cwd, 'workflow.yml');
      const said = (step: object): string => {
        const job = { 'runs-on': 'ubuntu-latest', steps: [step] };
        writeFileSync(file, stringify({ on: 'push', jobs: { test: job } }));
        return spawnSync(join(WORK_DIR, ACTIONLINT), ['-no-color', file]).stdout.toString();
      };
      for (const step of steps) expect({ step, said: said(step) }).toEqual({ step, said: '' });
      // It knows the inputs of some of the actions.
      const mistaken = steps.map((step) => said({ ...step, with: { mistake: 1 } }));
      expect(mistaken.join('')).toMatch(/input "mistake" is not defined in action/);
    } finally {
      await place.remove();
    }
  });
});

describeWith('cfn-lint', [CFN_LINT], () => {
  let place: Place;
  beforeAll(async () => {
    place = await makePlace();
  });
  afterAll(() => place.remove());
  const lint = (reference: string): string => {
    const file = join(place.cwd, 'template.json');
    const properties = { UserName: 'app', LoginProfile: { Password: reference } };
    writeFileSync(
      file,
      JSON.stringify({ Resources: { User: { Type: 'AWS::IAM::User', Properties: properties } } }),
    );
    return spawnSync(CFN_LINT, ['--format', 'parseable', file]).stdout.toString();
  };

  test('takes every reference for CloudFormation, and not one with a mistake', () => {
    const printed = manifests('cloudformation');
    expect(printed).toHaveLength(4);
    for (const text of printed) expect({ text, said: lint(text.trim()) }).toEqual({ text, said: '' });
    expect(lint('{{resolve:secretsmanager:pay/db:SecretText:password}}')).toContain('E1050');
  }, 120_000);

  test('every property that --into allows is write-only in AWS’s schemas', () => {
    const program = `import glob, json, os, sys, cfnlint
found = set()
for path in glob.glob(os.path.join(os.path.dirname(cfnlint.__file__), 'data/schemas/**/*.json'), recursive=True):
    schema = json.load(open(path))
    if isinstance(schema, dict) and 'typeName' in schema:
        for pointer in schema.get('writeOnlyProperties', []):
            parts = [p for p in pointer.split('/')[2:] if p != 'properties']
            found.add('.'.join([schema['typeName'], *parts]))
print(json.dumps([p for p in json.load(sys.stdin) if p not in found]))`;
    const { stdout, stderr } = spawnSync(PYTHON, ['-c', program], { input: JSON.stringify(WRITE_ONLY) });
    expect({ out: stdout.toString().trim(), err: stderr.toString() }).toEqual({ out: '[]', err: '' });
  }, 120_000);
});

/** Starts a store's server, stores a secret there, and prints references to it. */
function withStore(
  title: string,
  files: readonly string[],
  start: () => Promise<{ readonly env: Readonly<Record<string, string>>; stop(): Promise<void> }>,
  body: (sh: (line: string) => Promise<Outcome>, place: () => Place) => void,
): void {
  describeWith(title, files, () => {
    let place: Place;
    let server: Awaited<ReturnType<typeof start>>;
    beforeAll(async () => {
      place = await makePlace();
      server = await start();
    }, 120_000);
    afterAll(async () => {
      await server.stop();
      await place.remove();
    });
    body(
      (line) => place.sh(line, server.env),
      () => place,
    );
  });
}

withStore('references to AWS', awsFiles, startAws, (sh, place) => {
  test('the first example of docs/references.md works as printed', async () => {
    const page = readFileSync(join(ROOT, 'docs/references.md'), 'utf8');
    const [, commands = ''] = /```sh\n([^`]*)```/.exec(page) ?? [];
    const [, output = ''] = /```text\n([^`]*)```/.exec(page) ?? [];
    expect(commands).toContain('--for cloudformation');
    expect(await sh(commands)).toEqual({ stdout: output, stderr: '', code: 0 });
  });

  test('ecs has the ARN, --check finds what is missing, and a value is read for a key alone', async () => {
    await sh('printf canary-1 | secrets put --quiet aws://ref/db#password');
    const refer = (rest: string): Promise<Outcome> => sh(`secrets reference ${rest}`);
    const before = accessesIn(logOf(place())).length;
    expect((await refer('aws://ref/db#password --for ecs')).stdout).toMatch(
      /"valueFrom": "arn:aws:secretsmanager:eu-west-1:\d{12}:secret:ref\/db-\w{6}:password::"/,
    );
    expect(await refer('aws://ref/db --for cloudformation --check')).toMatchObject({
      code: 0,
      stdout: '{{resolve:secretsmanager:ref/db}}\n',
    });
    const without = accessesIn(logOf(place())).slice(before);
    expect(without.length).toBeGreaterThan(0);
    expect(without.filter(({ action }) => action === 'read')).toEqual([]);
    const checked = await refer('aws://ref/db#password --for cloudformation --check --json');
    expect(JSON.parse(checked.stdout)).toEqual({
      reference: 'aws://ref/db#password',
      for: 'cloudformation',
      text: '{{resolve:secretsmanager:ref/db:SecretString:password}}',
      checks: [
        { what: 'secret', how: expect.any(String) as string },
        { what: 'key', how: expect.stringContaining('reading the value') as string },
      ],
    });
    const schema = JSON.parse(
      readFileSync(join(ROOT, 'schemas/output/reference.schema.json'), 'utf8'),
    ) as object;
    expect(new Ajv2020().compile(schema)(JSON.parse(checked.stdout))).toBe(true);
    const failing = [
      ['aws://ref/none --for cloudformation --check', 3, /ref\/none/],
      ['aws://ref/db#other --for cloudformation --check', 3, /other/],
      ["'aws://ref/db?stage=previous' --for cloudformation --check", 3, /previous/],
      ["'aws://ref/db?version=00000000-0000-0000-0000-000000000000' --for ecs --check", 3, /no version/],
      ['aws://ref/none --for ecs', 3, /ref\/none/],
      ['aws://ref/db --for azure-app', 2, /can’t read from this store/],
      ['aws://ref/db', 2, /--for is missing/],
      ['aws://ref/db --for cloudformation --into Outputs.Value', 2, /outputs are shown/],
      ['aws://ref/db --for ecs --into Outputs.Value', 2, /--into names/],
      ["aws://ref/db --for ecs --name 'a b'", 2, /--name takes/],
    ] as const;
    for (const [rest, code, message] of failing) {
      const outcome = await refer(rest);
      expect({ rest, ...outcome }).toEqual({
        rest,
        code,
        stdout: '',
        stderr: expect.stringMatching(message) as string,
      });
    }
    const said = [checked, await refer('aws://ref/db#password --for eks-csi --check')];
    expect(said.map(({ stdout, stderr }) => stdout + stderr).join('')).not.toContain('canary');
  }, 120_000);

  test('a version is found by the list of versions, and a prefix is part of the name', async () => {
    await sh('printf a | secrets put --quiet aws://pre/db; printf b | secrets put --quiet aws://pre/db');
    const { stdout } = await sh(
      "echo 'stores: { p: { provider: aws, prefix: pre/ } }' > s.yaml; secrets reference 'p://db?stage=previous' --for cdk --check --config s.yaml",
    );
    expect(stdout).toBe('SecretValue.secretsManager("pre/db", { versionStage: "AWSPREVIOUS" })\n');
  }, 60_000);
});

withStore('references to Vault', vaultFiles, startVault, (sh) => {
  test('name the mount and the address', async () => {
    await sh('printf v | secrets put --quiet vault://ref/db#password');
    const step = await sh('secrets reference vault://ref/db#password --for github --check');
    expect(step).toMatchObject({ code: 0, stderr: '' });
    expect(step.stdout).toContain('secret/data/ref/db password | DB_PASSWORD');
    const empty = `fetch(process.env.VAULT_ADDR + '/v1/secret/metadata/ref/empty', {
      method: 'POST', headers: { 'x-vault-token': process.env.VAULT_TOKEN }, body: '{"custom_metadata":{"a":"b"}}',
    }).then(({ status }) => console.log(status))`;
    expect((await sh(`node -e "${empty.replaceAll('"', '\\"')}"`)).stdout).toBe('204\n');
    expect(await sh('secrets reference vault://ref/empty --for external-secrets --check')).toMatchObject({
      code: 3,
      stdout: '',
      stderr: expect.stringContaining('no current version') as string,
    });
    const job = parse((await sh('secrets reference vault://ref/db#password --for gitlab')).stdout) as object;
    expect(job).toEqual({
      secrets: {
        DB_PASSWORD: {
          vault: { engine: { name: 'kv-v2', path: 'secret' }, path: 'ref/db', field: 'password' },
        },
      },
    });
  }, 60_000);
});

withStore('references to Google', gcpFiles, startGcp, (sh) => {
  test('name the project, and latest unless a version is given', async () => {
    await sh('printf v | secrets put --quiet gcp://ref-db');
    const { stdout } = await sh('secrets reference gcp://ref-db --for cloud-run --name PASSWORD --check');
    expect(parse(stdout)).toEqual([
      { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'ref-db', key: 'latest' } } },
    ]);
    const pinned = await sh("secrets reference 'gcp://ref-db?version=1' --for kubernetes --check");
    expect(pinned.stdout).toMatch(/resourceName: "projects\/[\w-]+\/secrets\/ref-db\/versions\/1"/);
    expect((await sh("secrets reference 'gcp://ref-db?version=7' --for kubernetes --check")).code).toBe(3);
  }, 60_000);
});

withStore('references to Azure', azureFiles, startAzure, (sh) => {
  test('have the vault’s URL, without a call unless --check is given', async () => {
    await sh('printf v | secrets put --quiet azure://ref-db');
    const { stdout } = await sh('secrets reference azure://ref-db --for azure-app --check');
    expect(stdout).toMatch(/^@Microsoft\.KeyVault\(SecretUri=https:\/\/\S+\/secrets\/ref-db\)\n$/);
    const alone = 'AZURE_KEYVAULT_URL=https://pay.vault.azure.net';
    expect(
      (await sh(`env -i PATH="$PATH" HOME="$HOME" ${alone} secrets reference azure://x --for azure-app`))
        .stdout,
    ).toBe('@Microsoft.KeyVault(SecretUri=https://pay.vault.azure.net/secrets/x)\n');
  }, 60_000);
});

let azure: Azure;
withStore(
  'a disabled version in Azure',
  azureFiles,
  async () => {
    azure = await startAzureAlone();
    return { env: azure.env('officer'), stop: azure.stop };
  },
  (sh) => {
    test('is none that a service could read', async () => {
      await sh('printf v | secrets put --quiet azure://off');
      const { id: url } = azure.vault.get('off', '') as { id: string };
      const id = url.slice(url.lastIndexOf('/') + 1);
      const check = (): Promise<Outcome> => sh('secrets reference azure://off --for azure-app --check');
      expect((await check()).code).toBe(0);
      azure.vault.update('off', id, { attributes: { enabled: false } });
      expect(await check()).toEqual({
        code: 3,
        stdout: '',
        stderr: `secrets: azure://off: the current version, ${id}, is disabled; enable it, store another value, or name a version: secrets history lists them\n`,
      });
    }, 60_000);
  },
);
