import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/config/load.ts';
import { providers } from '../../src/providers/registry.ts';
import type { World } from '../../src/world.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'config-'));
  mkdirSync(join(home, 'p/q'), { recursive: true });
});
afterEach(() => rmSync(home, { recursive: true }));

function load(yaml: string, env: Record<string, string> = {}, trust = false) {
  writeFileSync(join(home, 'p/secrets.yaml'), yaml);
  const world = { env, home, cwd: join(home, 'p/q'), uid: process.getuid?.(), providers } as unknown as World;
  return loadConfig(world, { trust });
}
const VAULT = 'stores:\n  v: { provider: vault, address: https://x.example }\n';

test('a secrets.yaml is found upward and gives the variables', async () => {
  const { env, file } = await load('env:\n  A: info\n  B: { ref: local://b, as: file }\n');
  expect(file).toMatch(/secrets\.yaml$/);
  expect([...env.values()]).toEqual([
    { kind: 'literal', value: 'info' },
    { kind: 'ref', ref: 'local://b', as: 'file', optional: false },
  ]);
});
test('a file beyond the repository root is not found', async () => {
  mkdirSync(join(home, 'p/q/.git'));
  expect((await load('env: { A: info }\n')).file).toBeUndefined();
});
test('an unknown key names the line and the nearest key', async () => {
  await expect(load('\nstorez: {}\n')).rejects.toMatchObject({
    kind: 'Usage',
    message: expect.stringMatching(/:2: unknown key storez$/) as string,
    hint: 'did you mean stores?',
  });
});
test('a literal that looks like a secret is refused and not repeated', async () => {
  await expect(load('env: { TOKEN: abcdefgh }\n')).rejects.toMatchObject({
    message: expect.not.stringContaining('abcdefgh') as string,
    kind: 'Usage',
  });
});
test.each([VAULT, 'env: { NODE_OPTIONS: -r x }\n'])('%j is refused until it is trusted', async (yaml) => {
  await expect(load(yaml)).rejects.toMatchObject({ kind: 'Policy', exitCode: 8 });
  await expect(load(yaml, { SECRETS_TRUSTED: '0'.repeat(64) })).rejects.toMatchObject({ kind: 'Policy' });
  const hash = createHash('sha256').update(yaml).digest('hex');
  expect((await load(yaml, { SECRETS_TRUSTED: hash })).file).toBeDefined();
  expect((await load(yaml, {}, true)).file).toBeDefined();
});
