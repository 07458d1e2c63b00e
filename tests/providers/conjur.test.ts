import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from '../../src/providers/conjur/index.ts';
import type { Provider, StoreSettings } from '../../src/providers/provider.ts';
import { type Conjur, startConjur } from '../backends/conjur.ts';
import { freePort } from '../backends/server.ts';
import { contextFor, itKeepsTheContract } from '../contract/suite.ts';

describe('conjur', () => {
  let conjur: Conjur;
  let home: string;
  const opened: Provider[] = [];
  const start = (settings: StoreSettings, env: Readonly<Record<string, string>>): Provider => {
    const provider = open(settings, contextFor(env, home));
    opened.push(provider);
    return provider;
  };

  beforeAll(async () => {
    conjur = await startConjur();
    home = mkdtempSync(join(tmpdir(), 'secrets-conjur-home-'));
  });
  afterAll(async () => {
    await Promise.all(opened.map((provider) => provider.close()));
    const problems = await conjur.problems();
    await conjur.stop();
    rmSync(home, { recursive: true });
    expect(problems).toEqual([]);
  });

  describe('contract', () => {
    itKeepsTheContract({
      open: () => start({}, conjur.env()),
      openStranger: () => start({}, { ...conjur.env(), CONJUR_AUTHN_API_KEY: 'x'.repeat(56) }),
      openUnreachable: async () => start({ url: `https://127.0.0.1:${await freePort()}` }, conjur.env()),
    });
  });
});
