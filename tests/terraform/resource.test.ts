/** `resource "secrets_secret"`, with the real OpenTofu: from creation to destruction, and what others do meanwhile. */
import { describeWith } from '../backends/server.ts';
import { TOFU } from '../backends/vault-clients.ts';
import { accesses, filesWith, lineIn, makeProject, type Project, stateOf } from './kit.ts';

const CANARY = 'c4n4ry-Rs7/Mw3+Zx9';

const APPLY = 'tofu apply -auto-approve';
const secret = (more = '', value = `"${CANARY}"`): string =>
  `resource "secrets_secret" "db" {\n  ref = "app/db"\n  value_wo = ${value}\n  ${more}\n}\n`;

describeWith('resource secrets_secret', [TOFU], () => {
  let project: Project;
  beforeEach(async () => {
    project = await makeProject();
  });
  afterEach(() => project.remove());

  const current = async (): Promise<string> => (await project.ok('secrets get app/db')).stdout;
  const version = (): unknown => stateOf(project)?.resources[0]?.instances[0]?.attributes['version'];

  test('creates, keeps, writes again when the version changes, and deletes so that it can be restored', async () => {
    project.write(secret('value_wo_version = 1'));
    await project.ok(APPLY);
    expect([await current(), version()]).toEqual([CANARY, '1']);
    // Another value alone changes nothing: nobody can compare it.
    project.write(secret('value_wo_version = 1', '"other"'));
    expect((await project.sh('tofu plan -detailed-exitcode')).code).toBe(0);
    project.write(secret('value_wo_version = 2', '"other"'));
    await project.ok(APPLY);
    expect([await current(), version()]).toEqual(['other', '2']);
    await project.ok('tofu destroy -auto-approve');
    expect((await project.sh('secrets get app/db')).code).toBe(3);
    await project.ok('secrets restore app/db');
    expect(await current()).toBe('other');
    // main.tf has the first value as a literal no more; nothing else has ever had it.
    expect(await filesWith(project, CANARY)).toEqual([]);
    expect(accesses(project.records().filter(({ command }) => command === 'terraform resource'))).toEqual([
      'terraform resource: write local://app/db allowed',
      'terraform resource: describe local://app/db allowed',
      'terraform resource: delete local://app/db allowed',
    ]);
  });

  test('a secret of somebody else is not overwritten, unless it is imported', async () => {
    await project.ok('printf theirs | secrets put app/db');
    project.write(secret('value_wo_version = 1'));
    const refused = await project.sh(APPLY);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/already exists, and is not in the state/);
    expect([await current(), stateOf(project)?.resources ?? []]).toEqual(['theirs', []]);

    project.write(secret('value_wo_version = 1'));
    await project.ok('tofu import secrets_secret.db app/db');
    // The first number stands for the value that the secret has.
    const adopted = await project.ok(APPLY);
    expect(adopted.stdout).toContain('Warning: app/db was imported, and keeps its value');
    expect(await current()).toBe('theirs');
    expect((await project.sh('tofu plan -detailed-exitcode')).code).toBe(0);
    project.write(secret('value_wo_version = 2'));
    await project.ok(APPLY);
    expect(await current()).toBe(CANARY);
  });

  test('an import without a number keeps its value until the second one', async () => {
    await project.ok('printf theirs | secrets put app/db');
    project.write(secret());
    await project.ok('tofu import secrets_secret.db app/db');
    expect((await project.sh('tofu plan -detailed-exitcode')).code).toBe(0);
    project.write(secret('encoding = "text"\n  value_wo_version = 7'));
    await project.ok(APPLY);
    expect(await current()).toBe('theirs');
    project.write(secret('value_wo_version = 8'));
    await project.ok(APPLY);
    expect(await current()).toBe(CANARY);
  });

  const named = (ref: string, version: number, value = CANARY): string =>
    secret(`value_wo_version = ${version}`, `"${value}"`).replace('app/db', ref);

  test('another default store reads, writes and deletes nothing there', async () => {
    const stores = 'stores: { one: { provider: local, path: ./1 }, two: { provider: local, path: ./2 } }';
    const useStore = (name: string): Promise<unknown> =>
      project.ok(`printf '%s\\n' "default: ${name}" '${stores}' > secrets.yaml && secrets trust --yes`);
    await useStore('one');
    project.write(named('app/db', 1));
    await project.ok(`${APPLY} && printf theirs | secrets put two://app/db`);
    await useStore('two');
    const before = project.records().length;
    project.write(named('app/db', 2));
    const refused = await project.sh(APPLY);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('leads to two://app/db now, and this resource has one://app/db');
    expect(lineIn(refused.stderr)).toBe('ref = "app/db"');
    expect(accesses(project.records().slice(before))).toEqual([
      'terraform resource: describe one://app/db allowed',
    ]);
    // Without the block, it is deleted where it was written.
    project.write('');
    expect((await project.ok(APPLY)).stdout).toContain('1 destroyed');
    expect((await project.ok('secrets get two://app/db')).stdout).toBe('theirs');
    expect((await project.sh('secrets get one://app/db')).code).toBe(3);
  });

  test('another spelling of its reference is the same secret', async () => {
    project.write(named('app/db', 1));
    await project.ok(APPLY);
    project.write(named('local://app/db', 1, 'other'));
    expect((await project.ok(APPLY)).stdout).toContain('0 added, 1 changed, 0 destroyed');
    expect([await current(), version()]).toEqual([CANARY, '1']);
    project.write(named('local://app/d%62', 2, 'other'));
    expect((await project.ok(APPLY)).stdout).toContain('0 added, 1 changed, 0 destroyed');
    expect([await current(), version()]).toEqual(['other', '2']);
  });

  test('an import of what is not there is an error, and so is one of a key', async () => {
    project.write(secret());
    expect((await project.sh('tofu import secrets_secret.db app/none')).stderr).toContain('not found');
    expect((await project.sh("tofu import secrets_secret.db 'app/db#key'")).stderr).toContain('whole secret');
  });

  test('what others write is reported by its version, and stays', async () => {
    project.write(secret('value_wo_version = 1'));
    await project.ok(`${APPLY} && printf rotated | secrets put app/db`);
    const { code, stdout } = await project.sh('tofu plan -detailed-exitcode');
    expect(code).toBe(0);
    expect(stdout).toMatch(/Warning: app\/db was written by something else/);
    await project.ok(APPLY);
    expect(await current()).toBe('rotated');
    // The refreshed state has not made it forget.
    expect((await project.sh('tofu plan')).stdout).toMatch(
      /Its current version is 2, and the last one from here was 1/,
    );
    project.write(secret('value_wo_version = 2'));
    expect((await project.ok(APPLY)).stdout).not.toContain('Warning');
    expect([await current(), version()]).toEqual([CANARY, '3']);
  });

  test('what is written between plan and apply is not overwritten', async () => {
    project.write(secret('value_wo_version = 1'));
    await project.ok(APPLY);
    project.write(secret('value_wo_version = 2', '"mine"'));
    await project.ok('tofu plan -out plan.bin && printf theirs | secrets put app/db');
    const { code, stderr } = await project.sh('tofu apply plan.bin');
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/its current version is 2, not 1[^]*Make a new plan;/),
    ]);
    expect([await current(), version()]).toEqual(['theirs', '1']);
  });

  test('a version that the plan has not seen is not deleted; a plan to destroy it warns', async () => {
    project.write(named('app/db', 1));
    await project.ok(`${APPLY} && tofu plan -destroy -out plan.bin && printf theirs | secrets put app/db`);
    const { code, stderr } = await project.sh('tofu apply plan.bin');
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('its current version is 2, and 1 in the plan'),
    ]);
    expect(await current()).toBe('theirs');
    const planned = await project.ok('tofu plan -destroy');
    expect(planned.stdout).toMatch(
      /Warning: app\/db was written by something else[^]*It is deleted\s+nevertheless/,
    );
    await project.ok('tofu destroy -auto-approve');
    expect((await project.sh('secrets get app/db')).code).toBe(3);
  });

  test('a new secret of the same name and version is somebody else’s', async () => {
    project.write(named('app/db', 1));
    await project.ok(APPLY);
    project.write(named('app/db', 2));
    await project.ok('tofu plan -out plan.bin');
    await project.ok('secrets purge app/db --yes && printf theirs | secrets put app/db');
    const updated = await project.sh('tofu apply plan.bin');
    expect([updated.code, updated.stderr]).toEqual([1, expect.stringContaining('is another secret')]);
    const destroyed = await project.sh('tofu destroy -refresh=false -auto-approve');
    expect([destroyed.code, destroyed.stderr]).toEqual([1, expect.stringContaining('is another secret')]);
    expect((await project.ok('tofu plan')).stdout).toContain('1 to add');
    expect((await project.sh(APPLY)).stderr).toContain('already exists, and is not in the state');
    expect(await current()).toBe('theirs');
  });

  test('a secret that was deleted is planned anew, and created beside its old versions', async () => {
    project.write(secret());
    await project.ok(`${APPLY} && secrets delete app/db`);
    expect((await project.ok('tofu plan')).stdout).toContain('1 to add');
    await project.ok(APPLY);
    expect([await current(), version()]).toEqual([CANARY, '2']);
  });

  test('another reference replaces the secret; unknown references and versions are known at last', async () => {
    project.write(`
resource "terraform_data" "name" {
  input = "app/x"
}
resource "secrets_secret" "x" {
  ref              = terraform_data.name.output
  value_wo         = terraform_data.name.id
  value_wo_version = length(terraform_data.name.id)
}
`);
    expect((await project.ok('tofu plan')).stdout).toContain('2 to add');
    await project.ok(APPLY);
    expect((await project.ok('secrets get app/x')).stdout).toMatch(/^[0-9a-f-]{36}$/);
    await project.ok(`sed -i s,app/x,app/y, main.tf && ${APPLY}`);
    expect((await project.sh('secrets get app/x')).code).toBe(3);
    expect((await project.ok('secrets get app/y')).stdout).toMatch(/^[0-9a-f-]{36}$/);
    expect((await project.sh('tofu plan -detailed-exitcode')).code).toBe(0);
  });

  test.each([
    ['an empty value', 'value_wo = ""', 'the value is empty', 'value_wo'],
    ['no base64', 'value_wo = "%"\n  encoding = "base64"', 'the value is not base64', 'value_wo'],
    ['a version', 'value_wo = "x"\n  ref = "app/db?version=1"', 'whole secret', 'ref'],
    ['a name that the store refuses', 'value_wo = "x"\n  ref = "app//db"', 'app//db', 'ref'],
  ])('%s is an error on its attribute', async (_what, lines, message, attribute) => {
    const ref = lines.includes('ref =') ? '' : '  ref = "app/db"\n';
    project.write(`resource "secrets_secret" "db" {\n${ref}  ${lines}\n}\n`);
    const { stderr, code } = await project.sh(APPLY);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    expect(lineIn(stderr)).toMatch(new RegExp(`^${attribute} +=`));
  });

  test('bytes are written from base64', async () => {
    project.write(secret('encoding = "base64"', '"//4="'));
    await project.ok(APPLY);
    expect((await project.ok('secrets get app/db | od -An -tx1')).stdout.trim()).toBe('ff fe');
  });

  test('forty secrets at once, ten at a time', async () => {
    project.write(`
resource "secrets_secret" "many" {
  count    = 40
  ref      = "many/s\${count.index}"
  value_wo = "value-\${count.index}"
}
`);
    await project.ok(APPLY);
    const values = (await project.ok('secrets get $(secrets list many/)')).stdout
      .trim()
      .split('\n')
      .toSorted();
    expect(values).toEqual(Array.from({ length: 40 }, (_, index) => `value-${index}`).toSorted());
    await project.ok('tofu destroy -auto-approve');
    expect((await project.ok('secrets list many/')).stdout).toBe('');
  });
});
