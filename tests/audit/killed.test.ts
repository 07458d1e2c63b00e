/** Writers that are killed with SIGKILL at each moment at which they change the file system. */
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { verifyLog } from '../../src/audit/log/verify.ts';
import { event } from './events.ts';
import { buildProgram, chainProblems, type LogPlace, logPlace, runWriter } from './kit.ts';
import { sized, startOf } from '../size.ts';

const KILLER = fileURLToPath(new URL('kill-at.cjs', import.meta.url));
const LONG = 900_000;
/** Every so many points are tried. */
const STRIDE = sized(13, 3, 1);
/** Up to here all of them are. */
const DENSE = sized(18, 40);

let writer: string;
beforeAll(async () => {
  writer = await buildProgram('writer');
});

const run = async (place: LogPlace, killAt: string, task: object): Promise<number> => {
  const log = join(place.root, 'points');
  const { code, signal, stderr } = await runWriter(
    writer,
    { appends: 1, options: place.options, ...task },
    { KILL_AT: killAt, KILL_LOG: log },
    ['--require', KILLER],
  );
  expect([killAt, code === 0 || signal === 'SIGKILL', stderr]).toEqual([killAt, true, '']);
  return signal === 'SIGKILL' ? 0 : Number(readFileSync(log, 'utf8'));
};

describe.each([
  ['the first append of a log', { appends: 2 }, {}, 0],
  ['appends, with a checkpoint among them', { appends: 4 }, {}, 252],
  ['rotation of the file and retention', { appends: 14 }, { rotateSize: 4096, keepFiles: 1 }, 20],
] as const)('%s', (_title, task, more, before) => {
  test(
    'leaves a log that the next writer goes on with, wherever it is killed',
    async () => {
      const place = logPlace();
      const template = `${place.root}-template`;
      const log = place.open(more);
      for (let n = 0; n < before; n += 1) await log.append([event(n)]);
      cpSync(place.root, template, { recursive: true });
      const again = (): void => {
        place.remove();
        cpSync(template, place.root, { recursive: true });
      };
      const options = { ...place.options, ...more };
      const points = await run(place, '0 never', { ...task, options, from: 1000 });
      expect(points).toBeGreaterThan(6);
      let torn = 0;
      for (let point = 1; point <= points; point += point < DENSE ? 1 : STRIDE) {
        // Half of a write is what leaves a torn line; of the others a small run tries one.
        const others = ['before', 'after'].filter((_, index) => (index + point) % sized(2, 1) === startOf(2));
        for (const when of ['half', ...others]) {
          const where = `${point} ${when}`;
          again();
          await run(place, where, { ...task, options, from: 1000 });
          const dead = place.access();
          const next = place.open(more);
          await next.append([event(5000)]);
          await next.append([event(5001)]);
          expect([where, chainProblems(place.all())]).toEqual([where, []]);
          const { problems } = await verifyLog({
            files: [place.path],
            keys: undefined,
            anchors: [],
            headFolder: place.options.headFolder,
            progress: () => {},
            signal: new AbortController().signal,
          });
          expect([where, problems]).toEqual([where, []]);
          const access = place.access();
          expect(access.slice(-2)).toEqual(['payments/5000', 'payments/5001']);
          // Nothing that was whole is lost, but for what retention removes; and nothing is there twice.
          if (!('keepFiles' in more)) expect([where, access.slice(0, -2)]).toEqual([where, dead]);
          expect(new Set(access).size).toBe(access.length);
          if (place.whole().some(({ repair }) => repair?.found === 'torn')) torn += 1;
          expect(place.whole().some(({ repair }) => repair?.found === 'lost')).toBe(false);
          expect(place.files().filter((file) => /lock/.test(file))).toEqual([]);
        }
      }
      place.remove();
      rmSync(template, { recursive: true });
      expect(torn).toBeGreaterThan(0);
    },
    LONG,
  );
});
