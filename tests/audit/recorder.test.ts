/** When a recorder lets changes be made after a record could not be written. */
import { Recorder } from '../../src/audit/recording/recorder.ts';
import type { AuditEvent, AuditLog } from '../../src/core/audit/record.ts';
import { SecretsError } from '../../src/core/errors.ts';

const access = { action: 'write', store: 'prod', secret: 'a' } as const;

/** A recorder of a log that can be full. */
function recorderOf(isLasting: boolean): { readonly recorder: Recorder; readonly disk: { isFull: boolean } } {
  const disk = { isFull: false };
  const write = (): Promise<readonly number[]> =>
    disk.isFull ? Promise.reject(new SecretsError('Policy', 'the disk is full')) : Promise.resolve([1]);
  const log = { intend: write, append: write } as unknown as AuditLog;
  const context = { command: 'put', user: 'u', uid: 1, host: 'h', pid: 1, reason: undefined };
  const parts = { now: () => new Date(), warn: () => undefined, isLasting };
  return { recorder: new Recorder(log, { log: 'required', path: '/log' }, context, parts), disk };
}

test.each([
  [false, 'makes no further change'],
  [true, 'goes on when the log is good again'],
])('a process that lives on: %p %s', async (isLasting) => {
  const { recorder, disk } = recorderOf(isLasting);
  await recorder.intend(access);
  disk.isFull = true;
  await expect(recorder.record([access])).rejects.toThrow('full');
  await expect(recorder.intend(access)).rejects.toThrow('full');
  disk.isFull = false;
  const next = recorder.intend(access);
  if (isLasting) expect(await next).toBe(1);
  else await expect(next).rejects.toThrow('full');
});

test('what many clients ask for in one turn of the event loop is recorded in one write', async () => {
  const writes: (readonly AuditEvent[])[] = [];
  const append = async (events: readonly AuditEvent[]): Promise<void> => void writes.push(events);
  const context = { command: 'agent start', user: 'u', uid: 1, host: 'h', pid: 1, reason: undefined };
  const recorder = new Recorder(
    { append } as unknown as AuditLog,
    { log: 'required', path: '/log' },
    context,
    { now: () => new Date(), warn: () => undefined, isLasting: true },
  );
  const recorded: Promise<void>[] = [];
  // Each request has a callback of its own, and what it waits for is done before the next callback.
  for (const secret of ['a', 'b', 'c'])
    setImmediate(() => recorded.push(recorder.record([{ ...access, secret }])));
  await new Promise((resolve) => setTimeout(resolve, 10));
  await Promise.all(recorded);
  expect(writes.map((events) => events.map(({ secret }) => secret))).toEqual([['a', 'b', 'c']]);
  await recorder.record([{ ...access, secret: 'd' }]);
  expect(writes).toHaveLength(2);
});
