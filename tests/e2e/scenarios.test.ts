/** The scenarios on stores that have no test file of their own, and the runner itself. */
import { makePlace } from './program.ts';
import { parseScenario, play } from './scenario.ts';
import { CLOUDS, defineScenarios, SERVERS } from './scenarios.ts';

await defineScenarios((store) => !CLOUDS.includes(store) && !SERVERS.includes(store));

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
