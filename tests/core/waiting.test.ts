import { pool } from '../../src/core/waiting.ts';

test('a task that comes when another one ends does not pass those that wait, nor run beside them', async () => {
  const limit = pool(1);
  const order: string[] = [];
  let running = 0;
  let most = 0;
  const task = (name: string) => async (): Promise<void> => {
    running += 1;
    most = Math.max(most, running);
    order.push(name);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
  };
  const late: Promise<void>[] = [];
  const first = limit(async () => {
    await task('first')();
    // Each of these comes a moment later: before, while and after the place of the first one is free.
    let moment = Promise.resolve();
    for (const name of ['third', 'fourth', 'fifth', 'sixth'])
      moment = moment.then(() => void late.push(limit(task(name))));
  });
  const second = limit(task('second'));
  await Promise.all([first, second]);
  await Promise.all(late);
  expect(order).toEqual(['first', 'second', 'third', 'fourth', 'fifth', 'sixth']);
  expect(most).toBe(1);
});

test('a task that fails gives its place to the next', async () => {
  const limit = pool(1);
  const failed = limit(() => Promise.reject(new Error('no')));
  const next = limit(() => Promise.resolve('done'));
  await expect(failed).rejects.toThrow('no');
  await expect(next).resolves.toBe('done');
});
