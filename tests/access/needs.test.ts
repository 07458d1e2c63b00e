/** `access policy`: each command works with exactly what it prints, and doesn't without any part of it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { type Aws, scenarioFiles as awsFiles, startAws } from '../backends/aws.ts';
import { describeWith } from '../backends/server.ts';
import { scenarioFiles as vaultFiles, startVault, type Vault } from '../backends/vault.ts';
import { makePlace, type Place, ROOT } from '../e2e/program.ts';

type Env = Readonly<Record<string, string>>;

interface Bench {
  readonly admin: Env;
  /** The environment of a new principal with this policy. */
  as(policy: string): Promise<Env>;
  /** Every policy that lacks one right of this one. */
  without(policy: string): readonly (readonly [title: string, policy: string])[];
  stop(): Promise<void>;
}

const PURPOSES = {
  exec: 'secrets exec -e V=@/app/db -- true',
  agent:
    'unset XDG_RUNTIME_DIR; secrets agent start -d --idle 1m; secrets get @/app/db; code=$?; secrets agent stop; exit $code',
  rotate:
    'secrets rotate @/app/db --generate alnum:24 && secrets rotate rollback @/app/db --to-previous --without-target',
  audit: 'secrets audit report @/ --json',
} as const;

const validate = new Ajv2020({ strict: true }).compile(
  JSON.parse(readFileSync(join(ROOT, 'schemas/output/access-policy.schema.json'), 'utf8')) as object,
);

function itIsEnough(store: string, start: () => Promise<Bench>): void {
  let bench: Bench;
  let place: Place;
  beforeAll(async () => {
    [bench, place] = await Promise.all([start(), makePlace()]);
    await run('for n in db other; do printf old | secrets put @/app/$n; done', bench.admin);
  });
  afterAll(async () => {
    await bench.stop();
    await place.remove();
  });

  const run = (line: string, env: Env) => place.sh(line.replaceAll('@', `${store}:/`), env);

  /** What is missing when this runs; empty if nothing is. A report leaves out what it may not see. */
  async function missing(line: string, policy: string): Promise<string> {
    const { code, stdout, stderr } = await run(line, await bench.as(policy));
    if (code !== 0) return `exit ${code}: ${stderr}`;
    if (!line.includes('audit report')) return '';
    const report = JSON.parse(stdout) as { readonly notChecked?: readonly { readonly reason?: string }[] };
    return JSON.stringify(report).includes('the caller may not see it') ? 'hidden' : '';
  }

  test.each(Object.entries(PURPOSES))('for %s', async (purpose, line) => {
    const reference = purpose === 'audit' ? '@/' : '@/app/db';
    const made = await run(`secrets access policy --for ${purpose} ${reference}`, bench.admin);
    expect(made).toMatchObject({ code: 0, stderr: '' });
    expect(await missing(line, made.stdout)).toBe('');
    const less = bench.without(made.stdout);
    expect(less.length).toBeGreaterThan(0);
    for (const [title, policy] of less)
      expect([title, await missing(line, policy)]).toEqual([title, expect.stringMatching(/./)]);
    const other = await run('secrets get @/app/other', await bench.as(made.stdout));
    expect(other.code).toBe(4);
  });

  test('the secrets of secrets.yaml, and JSON', async () => {
    await place.sh(
      `printf '%s' '{"env":{"A":"${store}://app/db","B":"${store}://app/other#k"},"rotation":{"${store}://app/other":{"every":"30d","generate":"alnum"}}}' > secrets.yaml`,
    );
    const named = await run('secrets access policy --for exec @/app/db @/app/other', bench.admin);
    const { code, stdout, stderr } = await run(
      'secrets access policy --for exec --trust --json',
      bench.admin,
    );
    expect([code, stderr]).toEqual([0, '']);
    const found = JSON.parse(stdout) as { readonly text: string };
    expect([validate(found), found.text]).toEqual([true, named.stdout]);
    const rotating = await run('secrets access policy --for rotate --trust', bench.admin);
    expect([rotating.stdout.includes('app/other'), rotating.stdout.includes('app/db')]).toEqual([
      true,
      false,
    ]);
    const mixed = await run('secrets access policy --for exec @/app/db local://a', bench.admin);
    expect([mixed.code, mixed.stderr]).toEqual([2, expect.stringContaining('in several stores')]);
    await place.sh('rm secrets.yaml');
  });
}

describeWith('vault', vaultFiles, () => {
  itIsEnough('vault', async () => {
    const vault: Vault = await startVault();
    let count = 0;
    return {
      admin: { VAULT_ADDR: vault.url, VAULT_TOKEN: vault.token },
      as: async (policy) => {
        const name = `needs-${(count += 1)}`;
        await vault.api('PUT', `sys/policies/acl/${name}`, { policy });
        const made = await vault.api('POST', 'auth/token/create', { policies: [name] });
        const { client_token: token } = made['auth'] as { readonly client_token: string };
        return { VAULT_ADDR: vault.url, VAULT_TOKEN: token };
      },
      without: (policy) =>
        [...policy.matchAll(/path "([^"]+)" \{ capabilities = \[(.*)\] \}/g)].flatMap(
          ([line, path, list = '']) =>
            list.split(', ').map((right) => {
              const rest = list.split(', ').filter((one) => one !== right);
              return [
                `${right} on ${path}`,
                policy.replace(line, line.replace(list, rest.join(', ') || '"deny"')),
              ] as const;
            }),
        ),
      stop: () => vault.stop(),
    };
  });
});

describeWith('aws', awsFiles, () => {
  itIsEnough('aws', async () => {
    const aws: Aws = await startAws();
    let count = 0;
    return {
      admin: aws.admin,
      as: (policy) => aws.makeUser(`needs-${(count += 1)}`, JSON.parse(policy) as object),
      without: (policy) =>
        [...policy.matchAll(/secretsmanager:(\w+)(?=")/g)].map(([action = '']) => [
          action,
          policy.replace(`"${action}"`, '"secretsmanager:Nothing"'),
        ]),
      stop: () => aws.stop(),
    };
  });
});
