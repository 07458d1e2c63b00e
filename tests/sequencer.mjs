/**
 * The order of test files. Without a cache of times, as in a fresh clone, jest begins with the largest file; here the
 * slowest come first, so that none of them is still running when all others are done.
 */
import Base from '@jest/test-sequencer';

/** Measured with SECRETS_TEST_TIMES; the order in between does not matter. */
const SLOW = [
  'rotation/crash',
  'rotation/engine',
  'rotation/outage',
  'rotation/late',
  'rotation/lock',
  'hostile/servers',
  'hostile/untrusted',
  'hostile/program',
  'commands/exit-codes',
  'e2e/',
  'audit/commands',
  'audit/killed',
  'rotation/targets/turns',
  'providers/local/durability',
  'providers/local/killed',
  '/contract.test',
  'providers/exec/conformance',
];
const rank = ({ path }) => {
  const found = SLOW.findIndex((part) => path.includes(part));
  return found === -1 ? SLOW.length : found;
};

export default class Sequencer extends Base {
  async sort(tests) {
    const sorted = await super.sort(tests);
    return sorted.toSorted((one, other) => rank(one) - rank(other));
  }
}
