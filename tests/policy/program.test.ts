/** Policies in the built program: labels, batches, programs, and what must not happen before a decision. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accessesIn, logOf, shortOf } from '../audit/program.ts';
import { makePlace, type Place } from '../e2e/program.ts';

let place: Place;
beforeEach(async () => {
  place = await makePlace();
  writeFileSync(join(place.cwd, 'secrets.yaml'), '{}');
});
afterEach(() => place.remove());

const policy = (text: string): void => writeFileSync(join(place.cwd, 'secrets.policy.cedar'), text);
const recorded = (): readonly string[] =>
  accessesIn(logOf(place)).map((record) => [shortOf(record), ...(record.policies ?? [])].join(' '));

test('labels decide, and a secret is neither labelled into a permit nor out of it', async () => {
  await place.sh(
    'printf t | secrets put test --label env=test; printf p | secrets put prod --label env=prod',
  );
  policy(
    '@id("test") permit (principal, action, resource is Secret) when { resource.hasTag("env") && resource.getTag("env") == "test" };',
  );
  expect(await place.sh('secrets get test')).toMatchObject({ stdout: 't', code: 0 });
  expect(await place.sh('secrets get prod')).toMatchObject({ stdout: '', code: 8 });
  expect((await place.sh('secrets get nope')).code).toBe(8);
  for (const [line, code] of [
    ['printf x | secrets put prod --label env=test', 8],
    ['printf x | secrets put test --label env=prod', 8],
    ['printf x | secrets put test', 0],
    ['printf x | secrets put new --label env=test', 0],
    ['printf x | secrets put new2 --label env=prod', 8],
    ['printf x | secrets put new3', 8],
  ] as const)
    expect([line, (await place.sh(line)).code]).toEqual([line, code]);
});

test('one denied secret fails as a missing one does: the others are named, nothing is printed or started', async () => {
  await place.sh('for n in app/a app/b prod/c; do printf $n | secrets put $n; done');
  policy(
    '@id("app") permit (principal, action in [Action::"read", Action::"inject"], resource in Prefix::"local://app/");',
  );
  const got = await place.sh('secrets get app/a prod/c app/b nope');
  expect(got).toMatchObject({ code: 8, stdout: '' });
  expect(got.stderr).toMatch(/2 of 4 .* failed\n.*prod\/c: no policy.*\n.*nope: no policy/);
  const ran = await place.sh('secrets exec -e A=app/a -e C=prod/c -- sh -c "echo ran > ran"; cat ran');
  expect(ran.stdout).toBe('');
  expect((await place.sh('secrets exec -e A=app/a -- printenv A')).stdout).toBe('app/a\n');
});

test('the rehearsal of a rotation says what the policies deny', async () => {
  await place.sh('printf a | secrets put a');
  const permit = (actions: string): void =>
    policy(`permit (principal, action in [Action::"inject", Action::"describe"${actions}], resource);`);
  const rehearse = 'secrets rotate a --generate hex:16 --dry-run';
  permit('');
  const denied = await place.sh(rehearse);
  expect(denied.code).not.toBe(0);
  expect(denied.stdout).toMatch(
    /fail rights: denied: .*missing: the right to rotate: no policy in .* rotate local:\/\/a\)/,
  );
  permit(', Action::"rotate"');
  expect(await place.sh(rehearse)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/ok rights: allowed/) as string,
  });
});

test('the program that exec starts is the one that was decided', async () => {
  await place.sh(
    'printf v | secrets put a; mkdir bin; printf "#!/bin/sh\\necho other" > bin/printenv; chmod 755 bin/printenv',
  );
  const { stdout } = await place.sh('realpath "$(command -v printenv)"');
  policy(
    `permit (principal, action, resource) when { context has program && context.program == "${stdout.trim()}" };`,
  );
  expect((await place.sh('secrets exec -e A=a -- printenv A')).stdout).toBe('v\n');
  expect((await place.sh('secrets exec -e A=a -- env')).code).toBe(125);
  expect(await place.sh('PATH="$PWD/bin:$PATH" secrets exec -e A=a -- printenv A')).toMatchObject({
    code: 125,
    stdout: '',
  });
});

test('the denial names the policy, and the log has it with the decision', async () => {
  await place.sh('printf v | secrets put a');
  policy(
    '@id("all") permit (principal, action, resource);\n@id("night") forbid (principal, action == Action::"delete", resource);',
  );
  const before = recorded().length;
  const { code, stderr } = await place.sh('secrets delete a; secrets get a > /dev/null');
  expect([code, stderr.replaceAll(place.cwd, '.')]).toEqual([
    0,
    'secrets: local://a: delete is forbidden by the policy night (./secrets.policy.cedar:2)\n',
  ]);
  expect(recorded().slice(before)).toEqual([
    'delete local://a denied Policy project:night',
    'read local://a allowed project:all',
  ]);
});

test('a trail that may not be read is recorded, whatever else may be done with the secret', async () => {
  writeFileSync(join(place.cwd, 'secrets.yaml'), 'stores: { v: { provider: vault, trail: { file: t } } }');
  await place.sh('secrets trust --yes');
  policy('permit (principal, action == Action::"describe", resource in Prefix::"v://app/");');
  const { code } = await place.sh('secrets audit trail v', {
    VAULT_ADDR: 'http://127.0.0.1:1',
    VAULT_TOKEN: 'x',
  });
  expect([code, recorded()]).toEqual([8, ['describe v:// denied Policy']]);
});

describe('a store that counts its calls', () => {
  let server: Server;
  let calls: string[];
  beforeEach(async () => {
    calls = [];
    server = createServer((request, response) => {
      calls.push(`${request.method} ${request.url}`);
      response.writeHead(403).end('{"errors":[]}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  test.each([
    'get vault://app/a',
    'get vault://app/a vault://app/b --json',
    'get vault://app/a --metadata',
    'exec -e A=vault://app/a -- true',
    'env -e A=vault://app/a',
    'history vault://app/a',
    'delete vault://app/a',
    'purge vault://app/a --yes',
    'restore vault://app/a',
    'copy vault://app/a vault://app/b',
    'diff vault://app/a vault://app/b',
    'rotate vault://app/a --generate hex:8',
    'reference vault://app/a --for external-secrets --check',
    'audit trail vault://app/a',
  ])('is not called at all, and the denial is recorded: %s', async (line) => {
    policy('// Nothing is permitted.');
    const { port } = server.address() as AddressInfo;
    const env = { VAULT_ADDR: `http://127.0.0.1:${port}`, VAULT_TOKEN: 'x' };
    const { code, stderr } = await place.sh(`secrets ${line}`, env);
    expect({ calls, denied: code === 8 || code === 125, stderr }).toEqual({
      calls: [],
      denied: true,
      stderr: expect.stringMatching(/no policy in \S+ permits/) as string,
    });
    expect(recorded()).toContainEqual(expect.stringMatching(/^\w+ vault:\/\/app\/a denied Policy$/));
  });
});
