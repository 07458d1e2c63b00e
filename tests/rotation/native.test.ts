/** What is made of a service's word on a rotation, whatever the service. */
import { SecretsError } from '../../src/core/errors.ts';
import type { NativeProgress, NativeRotations } from '../../src/providers/capabilities/rotation.ts';
import type { NativeRotation } from '../../src/core/rotation/native.ts';
import type { Job } from '../../src/rotation/jobs.ts';
import { remind, resumeNative, rotateNatively } from '../../src/rotation/native.ts';
import { judgeNative } from '../../src/core/rotation/schedule.ts';

const DAY_MS = 86_400_000;
const now = new Date('2026-11-24T12:00:00Z');
const days = (count: number): Date => new Date(now.getTime() + count * DAY_MS);
const rotation = (more: Partial<NativeRotation> = {}): NativeRotation => ({
  by: 'tests',
  role: 'rotates',
  enabled: true,
  settings: {},
  ...more,
});

describe('judgeNative', () => {
  const cases: readonly (readonly [string, NativeRotation | undefined, string])[] = [
    ['never set', undefined, 'never'],
    ['switched off', rotation({ enabled: false, next: days(1) }), 'never'],
    ['to come', rotation({ next: days(1) }), 'ok'],
    ['missed', rotation({ next: days(-1) }), 'overdue'],
    ['without a date', rotation(), 'unscheduled'],
    ['under way', rotation({ next: days(1), attempt: { version: 'v' } }), 'rotating'],
    ['under way, first time', rotation({ enabled: false, attempt: { version: 'v' } }), 'rotating'],
    ['under way past its date', rotation({ next: days(-1), attempt: { version: 'v' } }), 'stuck'],
    ['failed', rotation({ next: days(1), attempt: { version: 'v', failed: 'why' } }), 'stuck'],
    [
      'old, and who rotates says when',
      rotation({ lastRotated: days(-9), everyMs: DAY_MS, next: days(1) }),
      'ok',
    ],
    [
      'old, and somebody was only told',
      rotation({ role: 'notifies', lastRotated: days(-9), everyMs: DAY_MS, next: days(1) }),
      'overdue',
    ],
  ];
  test.each(cases)('%s', (_title, native, state) => {
    expect(judgeNative(native, undefined, now)).toMatchObject({ state });
  });

  test('--max-age counts whatever the service plans', () => {
    const native = rotation({ lastRotated: days(-3), next: days(9) });
    expect(judgeNative(native, 2 * DAY_MS, now).state).toBe('overdue');
    expect(judgeNative(native, 4 * DAY_MS, now).state).toBe('ok');
  });
});

describe('waiting', () => {
  const job = (rotations: Partial<NativeRotations>): Job =>
    ({
      reference: 'tested://a',
      place: { name: 'a' },
      native: {
        rotations: {
          read: async () => rotation(),
          plan: async () => [],
          set: async () => {},
          remove: async () => {},
          start: async () => ({ at: new Date() }),
          ...rotations,
        },
        wish: { settings: {}, everyMs: undefined },
        starts: true,
      },
    }) as unknown as Job;
  const options = (waitMs: number, interrupt = new AbortController().signal) => ({
    call: () => ({ signal: AbortSignal.timeout(10_000) }),
    waitMs,
    interrupt,
    progress: () => {},
  });
  const answers = (...all: (NativeProgress | SecretsError)[]): NonNullable<NativeRotations['watch']> => {
    let index = 0;
    return async () => {
      const answer = all[Math.min(index, all.length - 1)];
      index += 1;
      if (answer === undefined || answer instanceof SecretsError) throw answer ?? new Error('none left');
      return answer;
    };
  };
  const away = new SecretsError('Unavailable', 'away');

  test('a store that is away for a moment is waited out', async () => {
    const watch = answers(
      away,
      { state: 'running', detail: 'at it' },
      { state: 'done', version: '2', detail: '' },
    );
    expect(await rotateNatively(job({ watch }), options(10_000))).toMatchObject({
      ending: 'done',
      version: '2',
    });
  });

  test('one that stays away leaves a rotation begun', async () => {
    expect(await rotateNatively(job({ watch: answers(away) }), options(700))).toMatchObject({
      ending: 'started',
      error: { kind: 'Unavailable', message: 'started, but its progress can’t be read: away' },
    });
    const denied = new SecretsError('Denied', 'no');
    expect(await rotateNatively(job({ watch: answers(denied) }), options(60_000))).toMatchObject({
      ending: 'started',
      error: { kind: 'Denied' },
    });
  });

  test('an interrupt ends the wait, and says that the rotation goes on', async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 100);
    const watch = answers({ state: 'running', detail: 'at it' });
    expect(await rotateNatively(job({ watch }), options(60_000, stop.signal))).toMatchObject({
      ending: 'started',
      error: {
        message: expect.stringMatching(/not waited for any longer/),
        hint: expect.stringMatching(/resume/),
      },
    });
  });

  test('what could not be begun has changed nothing', async () => {
    const start = async (): Promise<never> => {
      throw new SecretsError('Denied', 'no');
    };
    expect(await rotateNatively(job({ start }), options(1000))).toMatchObject({
      ending: 'unchanged',
      error: { kind: 'Denied' },
    });
  });

  test('without an attempt there is nothing to resume', async () => {
    expect(await resumeNative(job({}), options(1000))).toMatchObject({ ending: 'nothing' });
  });

  test('a rotation by us whose date can’t be set says so, and how to set it', async () => {
    const set = async (): Promise<never> => {
      throw new SecretsError('Unavailable', 'the vault is away');
    };
    expect(await remind(job({ set }), options(0).call)).toMatchObject({
      kind: 'Unavailable',
      message: 'rotated, but the date of the next rotation is not set: the vault is away',
      hint: 'secrets rotate --configure tested://a sets it',
    });
    expect(await remind(job({}), options(0).call)).toBeUndefined();
  });
});
