/**
 * The order of test files. Without a cache of times, as in a fresh clone, jest begins with the largest file; here the
 * slowest come first, so that none of them is still running when all others are done.
 */
import Base from '@jest/test-sequencer';

/** Measured with SECRETS_TEST_TIMES; the order in between does not matter. */
const SLOW = [
  'rotation/engine',
  'rotation/outage',
  'rotation/crash',
  'rotation/late',
  'rotation/lock',
  'hostile/servers',
  'hostile/untrusted',
  'hostile/program',
  'commands/exit-codes',
  'e2e/',
  'audit/commands',
];
const rank = ({ path }) => {
  const found = SLOW.findIndex((part) => path.includes(`/tests/${part}`));
  return found === -1 ? SLOW.length : found;
};

export default class Sequencer extends Base {
  async sort(tests) {
    const sorted = await super.sort(tests);
    return sorted.toSorted((one, other) => rank(one) - rank(other));
  }
}
