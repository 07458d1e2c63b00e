/** Two rotations of one secret at the same time, the first of which is slow at each of its calls in turn. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open as openLocal } from '../../src/providers/local/index.ts';
import type { Outcome } from '../../src/rotation/run.ts';
import { contextFor, now } from '../contract/kit.ts';
import { expectSettled, FakeSystem, look, MANNERS, Pause, rotateOn } from './kit.ts';

test.each(MANNERS)(
  'of a system that $title: one is done, and the other says that it was not',
  async (manner) => {
    const home = mkdtempSync(join(tmpdir(), 'secrets-at-once-'));
    const store = openLocal({}, contextFor({ SECRETS_LOCAL_KEY_METHOD: 'key-file' }, home));
    try {
      for (let at = 1; ; at += 1) {
        const name = `at-once-${at}`;
        await store.put(name, { value: Buffer.from(JSON.stringify({ password: 'first' })) }, now());
        const system = new FakeSystem(manner, 'first');
        const pause = new Pause(at);
        const slow = rotateOn(pause.of(store), name, system, {}) as Promise<Outcome>;
        if ((await Promise.race([pause.reached, slow])) !== 'paused') break;
        const fast = (await rotateOn(store, name, system, {})) as Outcome;
        pause.release();
        const endings = [fast.ending, (await slow).ending];
        // After the promotion the first is done already: the second one is a rotation of its own.
        const promoted = fast.ending === 'done' && (await slow).ending === 'done';
        // A system with room for two keys has none for a third.
        const others = manner.issues ? /held|unchanged|undone/ : /held|unchanged/;
        if (!promoted)
          expect([at, endings.toSorted()]).toEqual([at, ['done', expect.stringMatching(others)]]);
        else expect((await slow).before).not.toBe(fast.before);
        const seen = await look(store, name);
        expectSettled(system, seen);
      }
    } finally {
      await store.close();
    }
  },
  300_000,
);
