import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { open } from '../../../src/providers/local/index.ts';
import { contextFor, itKeepsTheContract } from '../../contract/suite.ts';

describe('local', () => {
  const home = mkdtempSync(join(tmpdir(), 'secrets-local-'));
  afterAll(() => rmSync(home, { recursive: true }));

  describe('with a key file and hidden names', () => {
    itKeepsTheContract({
      open: () => open({ path: join(home, 'hidden'), key: { method: 'key-file' } }, contextFor({}, home)),
    });
  });

  describe('with a passphrase and visible names', () => {
    const path = join(home, 'visible');
    itKeepsTheContract({
      open: () =>
        open(
          { path, names: 'visible', key: { method: 'passphrase' } },
          contextFor({ SECRETS_PASSPHRASE: 'correct horse' }, home),
        ),
      openStranger: () => open({ path }, contextFor({ SECRETS_PASSPHRASE: 'wrong horse' }, home)),
    });
  });

  describe('with age recipients', () => {
    const path = join(home, 'age');
    const identity = join(home, 'identity.txt');
    const stranger = join(home, 'stranger.txt');
    itKeepsTheContract({
      open: async () => {
        const secret = await generateIdentity();
        writeFileSync(identity, `# made for a test\n${secret}\n`, { mode: 0o600 });
        writeFileSync(stranger, `${await generateIdentity()}\n`, { mode: 0o600 });
        return open(
          { path, key: { recipients: [await identityToRecipient(secret)], identity } },
          contextFor({}, home),
        );
      },
      openStranger: () => open({ path, key: { identity: stranger } }, contextFor({}, home)),
    });
  });
});
