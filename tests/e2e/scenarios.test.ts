import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { INSTALL, testNeeding } from '../needs.ts';
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
// One after another: jest's loader of ES modules trips over two imports that share a module.
const backends = new Map<string, Awaited<ReturnType<typeof findBackend>>>();
for (const store of stores) backends.set(store, await findBackend(store));

for (const store of stores) {
  const backend = backends.get(store);
  const own = scenarios.filter((scenario) => scenario.stores.includes(store));
  if (backend?.usable !== true) {
    const server = { name: `the server for ${store}`, met: false, how: INSTALL, installable: true };
    testNeeding(server).each(own)(`$title ($file)`, () => {});
    continue;
  }
  describe(`scenarios on ${store}`, () => {
    let running: Awaited<ReturnType<typeof backend.start>> | undefined;
    beforeAll(async () => {
      running = await backend.start();
    });
    afterAll(() => running?.stop());
    test.each(own)('$title ($file)', async ({ file, ...scenario }) => {
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

describe('the scenario runner', () => {
  test.each([
    ['another exit code', '$ exit 3', 'exit code 3 instead of 0'],
    ['other output', '$ echo a\nb', 'stdout differs'],
    ['output where none is expected', '$ echo a', 'stdout differs'],
    ['a pattern that is not met', '$ echo a\nstdout ~ ^b', 'stdout does not match'],
    ['a message where none is expected', '$ echo a >&2', 'something is on stderr'],
    ['a message that is missing', '$ true\nstderr ~ sorry', 'stderr does not match'],
  ])('finds %s', async (_, text, problem) => {
    const place = await makePlace();
    try {
      await expect(play(parseScenario('x.txt', text), 'x.txt', place, {})).rejects.toThrow(problem);
    } finally {
      await place.remove();
    }
  });
});
