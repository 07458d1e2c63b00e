/** What a rotation that stopped says of the way on, by what the target said of its values. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Intent } from '../../src/core/rotation/machine.ts';
import { open as openLocal } from '../../src/providers/local/index.ts';
import type { Outcome } from '../../src/rotation/run.ts';
import type { Verdict } from '../../src/rotation/target.ts';
import { type StoppedRotation, ValueRefused, nextStep } from '../../src/rotation/next-step.ts';
import { contextFor } from '../contract/kit.ts';
import { FakeSystem, MANNERS, rotateOn } from './kit.ts';

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
  nextStep(one, async (value) => ({ old, new: pending })[value]);

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

describe('the target is asked once about a value', () => {
  const home = mkdtempSync(join(tmpdir(), 'secrets-next-step-'));
  const provider = openLocal({}, contextFor({ SECRETS_LOCAL_KEY_METHOD: 'key-file' }, home));
  afterAll(async () => {
    await provider.close();
    rmSync(home, { recursive: true });
  });

  /** Continues a rotation whose new value is in use and could not be verified, and then can't be set. */
  async function goOn(
    intent: Intent,
    apply: 'refuses' | 'does nothing',
  ): Promise<{ readonly calls: readonly string[]; readonly todo: string | undefined }> {
    const system = new FakeSystem(MANNERS[0] as (typeof MANNERS)[number], 'first');
    const name = `${intent}-${apply.replace(' ', '-')}`;
    const value = Buffer.from(JSON.stringify({ password: 'first' }));
    await provider.put(name, { value }, { signal: AbortSignal.timeout(20_000) });
    system.trouble = (call) => {
      if (call === 'verify') throw new Error('away');
    };
    expect(await rotateOn(provider, name, system, {})).toMatchObject({ ending: 'stuck' });
    const calls: string[] = [];
    system.lies = apply === 'does nothing';
    system.trouble = (call) => {
      calls.push(call);
      if (call === 'apply' && apply === 'refuses') throw new ValueRefused('Invalid', 'no', {}, true);
    };
    const outcome = await rotateOn(provider, name, system, { intent, takeOver: true });
    expect(outcome).toMatchObject({ ending: 'stuck' });
    return { calls, todo: (outcome as Outcome).todo };
  }

  test('that can’t be set again, and is in use', async () => {
    expect(await goOn('resume', 'refuses')).toEqual({
      calls: ['apply', 'verify'],
      todo: expect.stringContaining('the target has this value already'),
    });
  });
  test('that can’t be set back', async () => {
    expect(await goOn('rollback', 'refuses')).toEqual({
      calls: ['apply', 'verify', 'verify'],
      todo: expect.stringContaining('can’t be set back'),
    });
  });
  test('that was not set back, as the check says', async () => {
    expect(await goOn('rollback', 'does nothing')).toEqual({
      calls: ['apply', 'verify', 'verify'],
      todo: expect.stringContaining('can’t be set back'),
    });
  });
});
