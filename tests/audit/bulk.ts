/**
 * A program that makes a large log, as its writers would have, without their waiting for the disk:
 * `node bulk.cjs '{"path":…,"stateFolder":…,"records":…}'`. Each record is ten seconds after the one before.
 */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { sealCheckpoint } from '../../src/audit/log/checkpoint.ts';
import { Batch, START } from '../../src/core/audit/chain.ts';
import { event } from './events.ts';

const { path, stateFolder, records } = JSON.parse(process.argv[2] ?? '') as {
  readonly path: string;
  readonly stateFolder: string;
  readonly records: number;
};
mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
const settings = {
  path,
  stateFolder,
  mode: 'best-effort',
  now: () => new Date(Date.UTC(2026, 0, 1)),
  rotateSize: 0,
  waitMs: 0,
} as const;
const fd = openSync(path, 'wx', 0o600);
const batch = new Batch(START, (head) => sealCheckpoint(settings, head));
batch.checkpoint();
const begin = Date.UTC(2026, 0, 1);
for (let n = 0; batch.head.seq < records; n += 1) {
  const outcome = n % 500 === 7 ? 'denied' : 'allowed';
  batch.add({
    ...event(n % 1000, { time: new Date(begin + n * 10_000).toISOString(), outcome, pid: n % 30_000 }),
    kind: 'access',
  });
  if (batch.text.length < 1_000_000) continue;
  writeSync(fd, batch.text);
  batch.text = '';
}
writeSync(fd, batch.text);
closeSync(fd);
