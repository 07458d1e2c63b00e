/** What a rotation that stopped says of the way on, by what the target said of its values. */
import type { Intent } from '../../src/core/rotation/machine.ts';
import type { Verdict } from '../../src/rotation/target.ts';
import { type StoppedRotation, ValueRefused, nextStep } from '../../src/rotation/next-step.ts';

const RESUME = 'secrets rotate resume a://b';
const ROLLBACK = 'secrets rotate rollback a://b';
const AGAIN = 'secrets rotate a://b makes another value';

const stopped = (
  value: 'old' | 'new',
  repeated: boolean,
  more: Partial<StoppedRotation> & { readonly intent: Intent },
): StoppedRotation => ({
  reference: 'a://b',
  ending: 'stuck',
  toPrevious: false,
  refused: { value, error: new ValueRefused('Invalid', 'no', { hint: 'ease the rule' }, repeated) },
  ...more,
});
const told = (one: StoppedRotation, old: Verdict | undefined, pending: Verdict | undefined) =>
  nextStep(one, async () => ({ old, new: pending }));

test.each<
  [
    string,
    StoppedRotation,
    old: Verdict | undefined,
    pending: Verdict | undefined,
    expected: string | undefined,
  ]
>([
  [
    'the old value is refused, and the new one is in use',
    stopped('old', true, { intent: 'rollback' }),
    'refused',
    'accepted',
    `the target can’t be set back: ${RESUME} finishes it`,
  ],
  [
    'the old value is refused after a rotation that nobody could verify',
    stopped('old', true, { intent: 'rotate' }),
    'refused',
    undefined,
    `the target can’t be set back: ${RESUME} finishes it`,
  ],
  [
    'the old value is refused by a target that can’t be asked',
    stopped('old', false, { intent: 'rollback' }),
    'unknown',
    'unknown',
    `the target can’t be set back: ${RESUME} finishes it`,
  ],
  [
    'the old value is refused, and neither is accepted',
    stopped('old', true, { intent: 'rollback' }),
    'refused',
    'refused',
    'ease the rule',
  ],
  [
    'the old value is refused, and is in use',
    stopped('old', false, { intent: 'rollback' }),
    'accepted',
    'refused',
    `the target has this value already: let its apply succeed then (http: ok, program: exit code 0), and run ${ROLLBACK}`,
  ],
  [
    'the new value is refused again, and is in use',
    stopped('new', false, { intent: 'resume' }),
    'refused',
    'accepted',
    `the target has this value already: let its apply succeed then (http: ok, program: exit code 0), and run ${RESUME}`,
  ],
  [
    'the new value was used before, and the old one is in use',
    stopped('new', true, { intent: 'resume' }),
    'accepted',
    'refused',
    `${ROLLBACK} undoes it`,
  ],
  [
    'the new value was used before, and neither is accepted',
    stopped('new', true, { intent: 'resume' }),
    'refused',
    'refused',
    'ease the rule',
  ],
  [
    'the new value is refused for a reason that nobody knows',
    stopped('new', false, { intent: 'resume' }),
    'accepted',
    'refused',
    undefined,
  ],
])('%s', async (_, one, old, pending, expected) => {
  expect(await told(one, old, pending)).toBe(expected);
});

test.each<[string, StoppedRotation, string | undefined]>([
  ['nothing was refused', { ...stopped('new', true, { intent: 'resume' }), refused: undefined }, undefined],
  ['who began it had its new value refused', stopped('new', true, { intent: 'rotate' }), undefined],
  [
    'a repeated value was undone',
    stopped('new', true, { intent: 'rotate', ending: 'undone', toPrevious: true }),
    AGAIN,
  ],
  [
    'a previous value was undone',
    stopped('new', false, { intent: 'rotate', ending: 'undone', toPrevious: true }),
    `if the target takes no value twice, ${AGAIN}`,
  ],
  ['a new value was undone', stopped('new', false, { intent: 'rotate', ending: 'undone' }), undefined],
  ['somebody took it over', stopped('old', true, { intent: 'rollback', ending: 'lost' }), undefined],
])('without asking the target: %s', async (_, one, expected) => {
  const ask = (): Promise<never> => {
    throw new Error('asked the target');
  };
  expect(await nextStep(one, ask)).toBe(expected);
});
