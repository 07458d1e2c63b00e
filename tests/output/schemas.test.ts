import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { commands } from '../../src/commands/index.ts';
import { EXIT_CODES } from '../../src/core/errors.ts';
import { makePlace, type Outcome, type Place, ROOT } from '../e2e/program.ts';

const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
addFormats.default(ajv);

function schema(file: string): ValidateFunction {
  return ajv.compile(JSON.parse(readFileSync(join(ROOT, 'schemas', file), 'utf8')) as object);
}

function expectValid(validate: ValidateFunction, value: unknown): void {
  validate(value);
  expect({ value, errors: validate.errors }).toEqual({ value, errors: null });
}

/** Commands whose output is not JSON, or is tested with their own. */
const WITHOUT: Readonly<Record<string, string>> = {
  exec: 'the output is the child’s',
  completion: 'prints a script',
  'rotate-cancel': 'needs a service that rotates: tests/rotation/native-kit.ts holds it to its schema',
  reference: 'needs a store that others read: tests/integrations/references.test.ts holds it to its schema',
  access: 'only its verbs do something',
  policy: 'only its verbs do something',
  'access-list': 'needs a store with policies: tests/access/cli.test.ts holds it to its schema',
  'access-grant': 'needs a store with policies: tests/access/cli.test.ts holds it to its schema',
  'access-revoke': 'needs a store with policies: tests/access/cli.test.ts holds it to its schema',
  'access-policy': 'needs a store with policies: tests/access/needs.test.ts holds it to its schema',
  'access-check': 'needs a store with policies: tests/access/cli.test.ts holds it to its schema',
  audit: 'only its verbs do something',
  terraform: 'only its verbs do something',
  'terraform-serve': 'OpenTofu starts it',
  agent: 'only its verbs do something',
  'agent-run': 'the output is the child’s',
};

/** Each command line in order, in one place; `schema` is a file of schemas/output. */
const RUNS: readonly (readonly [schema: string, line: string, exit?: number])[] = [
  ['put', 'printf v | secrets put a --dry-run --json'],
  ['put', 'printf v | secrets put --quiet a --label team=web --expires 90d --description words --json'],
  ['put', 'printf v | secrets put j#key --json'],
  ['put', 'printf v | secrets put j#other --dry-run --json'],
  ['get', 'secrets get a --json'],
  ['get', 'secrets get a j#key --json'],
  ['get', 'secrets get nope --default x --json'],
  ['get', 'secrets get a --metadata'],
  ['get', 'secrets get a j --metadata --json'],
  ['get', 'secrets get a --out file --json'],
  ['list', 'secrets list --json'],
  ['history', 'secrets history a --json'],
  ['restore', 'secrets restore a --version 1 --dry-run --json'],
  ['restore', 'secrets restore a --version 1 --json'],
  ['env', 'secrets env -e A=a --json'],
  ['inject', "printf '{{ a | base64 }} {{ j#key }}' > t; secrets inject -i t --dry-run --json"],
  ['inject', 'secrets inject -i t -o injected --json'],
  ['inject', 'secrets inject -i t -o injected --json'],
  ['delete', 'secrets delete a --dry-run --json'],
  ['delete', 'secrets delete a --json'],
  ['delete', 'secrets delete a j --json', 7],
  ['list', 'secrets list --deleted --json'],
  ['restore', 'secrets restore a --dry-run --json'],
  ['restore', 'secrets restore a --json'],
  ['purge', 'secrets purge a --dry-run --json'],
  ['purge', 'printf w | secrets put a --quiet && secrets purge a --version 1 --yes --json'],
  ['purge', 'secrets purge a --yes --json'],
  ['stores', 'secrets stores --json'],
  ['stores', 'secrets stores --check --json'],
  ['stores-rekey', 'secrets stores rekey --dry-run --json'],
  ['stores-rekey', 'secrets stores rekey --json'],
  ['doctor', 'secrets doctor --json'],
  ['generate', 'secrets generate hex:4 --json'],
  ['copy', 'secrets copy j copied/j --dry-run --json', 3],
  ['copy', 'secrets restore j --quiet && secrets copy j copied --dry-run --json'],
  ['copy', 'secrets copy j copied --history --json'],
  [
    'diff',
    'printf w | secrets put --quiet t/a && printf v | secrets put --quiet s/b && secrets diff s/ t/ --json',
  ],
  ['sync', 'secrets sync s/ t/ --delete --dry-run --json'],
  ['sync', 'secrets sync s/ t/ --delete --yes --json'],
  ['import', 'printf A=1 | secrets import - imported --dry-run --json'],
  ['import', 'printf A=1 | secrets import - imported/ --json'],
  ['init', 'secrets init --dry-run --json'],
  ['init', 'echo KEY=x > .env; echo PORT=1 >> .env; VAULT_ADDR=https://v.example secrets init --json'],
  ['stores', 'echo >> secrets.yaml; secrets stores --json'],
  ['policy-init', 'secrets policy init --reader user:ann=local://app/ --dry-run --json'],
  ['policy-init', 'secrets policy init --admin user:nobody-here=local:// --json'],
  ['policy-check', 'secrets policy check --json'],
  [
    'policy-check',
    `echo 'permit (principal, action, resource in Store::"locl");' > p; secrets policy check p --json`,
  ],
  ['policy-check', 'echo x > p; secrets policy check p --json', 8],
  ['policy-list', 'secrets policy list --json'],
  ['policy-explain', 'secrets policy explain --json get local://a', 8],
  [
    'policy-test',
    `echo 'cases: [{ user: x, action: read, resource: "local://a", expect: allow }]' > secrets.policy.test.yaml; secrets policy test --json; rm secrets.policy*`,
  ],
  ['trust', 'secrets trust --dry-run --json'],
  ['trust', 'secrets trust --yes --json'],
  ['trust', 'secrets trust --json'],
  ['trust', 'secrets trust --list --json'],
  ['trust', 'secrets trust --revoke --json'],
  ['trust', "echo 'env: { A_TOKEN: local://b }' > secrets.yaml; secrets trust --json"],
  [
    'trust',
    "echo 'stores: { v: { provider: vault, ca: ./ca.pem } }' > secrets.yaml; secrets trust --dry-run --json",
  ],
  ['rotate', 'secrets rotate --generate hex:8 a --create --dry-run --json'],
  ['rotate', 'secrets rotate --generate hex:8 a --create && secrets rotate --generate hex:8 a --json'],
  [
    'rotate-status',
    "echo 'rotation: { a: { every: 30d } }' > secrets.yaml; secrets rotate status --trust --json",
  ],
  ['rotate-resume', 'secrets rotate resume a --trust --dry-run --json'],
  ['rotate-resume', 'secrets rotate resume a --trust --json'],
  ['rotate-rollback', 'secrets rotate rollback a --trust --to-previous --dry-run --json'],
  ['rotate-rollback', 'secrets rotate rollback a --trust --to-previous --json'],
  ['audit-report', 'printf changeme | secrets put --quiet w && secrets audit report --json'],
  [
    'audit-report',
    `echo 'audit: { suppress: [{ rule: weak-value, secret: "**", reason: r, until: 2020-01-01 }, { rule: default-value, secret: w, reason: r, until: ${new Date().toISOString().slice(0, 10)} }] }' > secrets.yaml; secrets audit report --trust --values --fail-on critical --json`,
  ],
  ['terraform-install', 'secrets terraform install --dry-run --json'],
  ['terraform-install', 'secrets terraform install --json'],
  ['audit-log', 'secrets audit log --all --json'],
  ['audit-anchor', 'secrets audit anchor --json'],
  ['audit-trail', 'secrets audit trail local --quiet --json'],
  ['audit-trail', 'secrets audit trail j --action read --quiet --json'],
  ['audit-verify', 'secrets audit verify --json'],
  [
    'audit-verify',
    'cp -r ~/.local/state/secrets/audit copy; sed -i 5d copy/audit.jsonl; secrets audit verify copy/audit.jsonl --json',
    9,
  ],
  [
    'audit-send',
    'echo \'audit: { sinks: { s: { type: syslog, address: "unix:/nobody" } } }\' > s.yaml; printf v | secrets put s --config s.yaml --trust --quiet; secrets audit send --config s.yaml --trust --json',
    6,
  ],
  ['agent-start', 'secrets agent start --detach --json --idle 60s'],
  ['agent-start', 'secrets agent start --detach --json'],
  ['agent-status', 'secrets agent status --json'],
  ['agent-status', 'VAULT_TOKEN=other secrets agent status --json'],
  ['agent-clear', 'secrets agent clear --json'],
  ['agent-stop', 'secrets agent stop --json'],
  ['audit-sinks', 'secrets audit sinks --config s.yaml --trust --json'],
];

describe('--json', () => {
  let place: Place;
  const outcomes = new Map<string, Outcome>();
  beforeAll(async () => {
    place = await makePlace();
    for (const [, line] of RUNS) outcomes.set(line, await place.sh(line));
  });
  afterAll(() => place.remove());

  test.each(RUNS.map(([name, line, exit = 0]) => ({ name, line, exit })))(
    'of $name: $line',
    ({ name, line, exit }) => {
      const outcome = outcomes.get(line);
      expect([outcome?.code, exit === 0 ? outcome?.stderr : '']).toEqual([exit, '']);
      const validate = ajv.getSchema(name) ?? schema(`output/${name}.schema.json`);
      const text = outcome?.stdout ?? '';
      const documents = ['list', 'rotate', 'audit-log', 'audit-send'].includes(name)
        ? text.trimEnd().split('\n')
        : [text];
      expect(documents.length).toBeGreaterThan(0);
      for (const document of documents) expectValid(validate as ValidateFunction, JSON.parse(document));
    },
  );

  test('every command has a schema and is run here', () => {
    const names = commands.flatMap(({ name, subcommands = [] }) => [
      name,
      ...subcommands.map((subcommand) => `${name}-${subcommand.name}`),
    ]);
    const wanted = names.filter((name) => !Object.hasOwn(WITHOUT, name)).toSorted();
    expect([...new Set(RUNS.map(([name]) => name))].toSorted()).toEqual(wanted);
    const files = readdirSync(join(ROOT, 'schemas/output')).map((file) => file.replace('.schema.json', ''));
    expect(files).toEqual(expect.arrayContaining(wanted));
  });

  test('a schema refuses what does not fit', () => {
    const validate = schema('output/put.schema.json');
    expect(validate({ reference: 'local://a', version: 1, state: 'enabled', stages: [] })).toBe(false);
    expect(validate({ reference: 'local://a', version: '1', state: 'enabled', stages: [], value: 'x' })).toBe(
      false,
    );
  });
});

describe('an error with --json', () => {
  test('is one line on stderr that its schema describes, with the exit code in it', async () => {
    const place = await makePlace();
    const validate = schema('error.schema.json');
    try {
      for (const line of ['secrets get a', 'secrets get a b', 'secrets get ..', 'secrets delete a b c']) {
        const { stdout, stderr, code } = await place.sh(`${line} --json`);
        expect(stdout).toBe('');
        expect(stderr.trimEnd().split('\n')).toHaveLength(1);
        const document = JSON.parse(stderr) as { error: { exitCode: number } };
        expectValid(validate, document);
        expect(document.error.exitCode).toBe(code);
      }
    } finally {
      await place.remove();
    }
  });

  test('has a kind for each of the product’s own', () => {
    const document = JSON.parse(readFileSync(join(ROOT, 'schemas/error.schema.json'), 'utf8')) as {
      $defs: { error: { properties: { kind: { enum: string[] } } } };
    };
    expect(document.$defs.error.properties.kind.enum.toSorted()).toEqual(Object.keys(EXIT_CODES).toSorted());
  });
});
