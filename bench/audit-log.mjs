// `node bench/audit-log.mjs [--records 1000000]`: what the commands of the audit log take on a large log. Nothing is
// asserted; each figure is one run, with the most memory it had.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { rolldown } from 'rolldown';

const { values: flags } = parseArgs({ options: { records: { type: 'string', default: '1000000' } } });
const root = new URL('..', import.meta.url).pathname;
const program = join(root, 'bin/secrets');
const place = mkdtempSync(join(tmpdir(), 'secrets-bench-audit-'));
try {
  const bundle = await rolldown({
    cwd: root,
    input: 'tests/audit/bulk.ts',
    platform: 'node',
    external: /^@napi-rs/,
  });
  await bundle.write({ dir: place, format: 'cjs', entryFileNames: 'bulk.cjs', chunkFileNames: '[name].cjs' });
  await bundle.close();
  const stateFolder = join(place, 'state/secrets');
  const path = join(stateFolder, 'audit/audit.jsonl');
  const task = { path, stateFolder, records: Number(flags.records) };
  execFileSync(process.execPath, [join(place, 'bulk.cjs'), JSON.stringify(task)]);
  process.stdout.write(`${flags.records} records, ${(statSync(path).size / 2 ** 20).toFixed(0)} MiB\n`);
  const probe = join(place, 'peak.cjs');
  writeFileSync(
    probe,
    "process.on('exit', () => process.stderr.write(`peak ${process.resourceUsage().maxRSS}`));",
  );
  const env = { PATH: process.env.PATH, HOME: place, XDG_STATE_HOME: join(place, 'state') };
  for (const line of [
    'audit verify',
    'audit log --limit 100 --json',
    'audit log --since 2026-02-01T00:00:00Z --until 2026-02-01T01:00:00Z --json',
    'audit log --secret prod://payments/77 --json',
    'audit log --outcome denied --json',
    'audit log --actor ada --command get --json',
  ]) {
    const started = process.hrtime.bigint();
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      ['--require', probe, program, ...line.split(' ')],
      {
        env,
        encoding: 'utf8',
        maxBuffer: 2 ** 31,
      },
    );
    const seconds = Number(process.hrtime.bigint() - started) / 1e9;
    if (status !== 0) throw new Error(`${line}: exit ${status}: ${stderr}`);
    const peak = Number(/peak (\d+)/.exec(stderr)?.[1]) / 1024;
    const lines = stdout.split('\n').length - 1;
    process.stdout.write(
      `${seconds.toFixed(2).padStart(7)} s  ${peak.toFixed(0).padStart(4)} MiB  ${String(lines).padStart(8)} lines  secrets ${line}\n`,
    );
  }
} finally {
  rmSync(place, { recursive: true, force: true });
}
