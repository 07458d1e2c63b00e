/** The scenarios of tests/e2e/scenarios as tests, by the stores that they run on. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { INSTALL, testNeeding } from '../needs.ts';
import { sampled } from '../size.ts';
import { findBackend } from './backends.ts';
import { makePlace } from './program.ts';
import { parseScenario, play } from './scenario.ts';

const FOLDER = fileURLToPath(new URL('scenarios', import.meta.url));

const files = readdirSync(FOLDER).filter((file) => file.endsWith('.txt'));
const scenarios = files.map((file) => ({
  file,
  ...parseScenario(file, readFileSync(join(FOLDER, file), 'utf8')),
}));
const stores = [...new Set(scenarios.flatMap((scenario) => scenario.stores))];

/** Stores whose scenarios have a test file of their own, so that several run at a time; all others share one. */
export const CLOUDS: readonly string[] = ['aws', 'azure', 'gcp'];
export const SERVERS: readonly string[] = ['vault', 'conjur'];

/** Defines the tests of each store that is chosen. */
export async function defineScenarios(isChosen: (store: string) => boolean): Promise<void> {
  // One after another: jest's loader of ES modules trips over two imports that share a module.
  for (const store of stores.filter(isChosen)) define(store, await findBackend(store));
}

function define(store: string, backend: Awaited<ReturnType<typeof findBackend>>): void {
  const own = scenarios.filter((scenario) => scenario.stores.includes(store));
  if (!backend.usable) {
    const server = { name: `the server for ${store}`, met: false, how: INSTALL, installable: true };
    testNeeding(server).each(own)(`$title ($file)`, () => {});
    return;
  }
  describe(`scenarios on ${store}`, () => {
    let running: Awaited<ReturnType<typeof backend.start>> | undefined;
    beforeAll(async () => {
      running = await backend.start();
    });
    afterAll(() => running?.stop());
    // Of what each store does alike, a small run tries some.
    test.each(sampled(own, store === 'local' ? 3 : 5))('$title ($file)', async ({ file, ...scenario }) => {
      const place = await makePlace();
      try {
        const played = play(scenario, file, place, { ...running?.env, STORE: store });
        await expect(played).resolves.toBeUndefined();
      } finally {
        await place.remove();
      }
    });
  });
}
