// What masking costs for each byte of ordinary output, on one thread: `npm run bench` prints it in MB of output for a
// second of the processor's time.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

function log() {
  let text = '';
  for (let index = 0; index < 900; index += 1)
    text +=
      `2026-11-24T08:00:${index % 60}Z INFO [worker-${index % 7}] request ${randomBytes(4).toString('hex')} ` +
      `GET /api/v1/users/${index * 37} done in ${index % 100} ms, "status": 200, agent='Mozilla/5.0 (X11; Linux)'\n`;
  return Buffer.from(text);
}

function cpuMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Figures for values of 32 characters, by how many there are. */
export async function measureRedaction(root, folder) {
  const bundle = await rolldown({ input: join(root, 'src/core/redaction/redactor.ts'), platform: 'node' });
  const file = join(folder, 'redactor.mjs');
  await bundle.write({ file, format: 'esm' });
  await bundle.close();
  const { Masker } = await import(pathToFileURL(file).href);
  const chunk = log();
  return [1, 50, 1000].map((count) => {
    const values = Array.from({ length: count }, () => Buffer.from(randomBytes(24).toString('base64')));
    const before = cpuMs();
    const stream = new Masker(values).stream();
    const built = cpuMs();
    for (let index = 0; index < 50; index += 1) stream.write(chunk);
    const warm = cpuMs();
    let bytes = 0;
    for (; cpuMs() - warm < 1000; bytes += chunk.length) stream.write(chunk);
    return { count, buildMs: built - before, mbPerSecond: bytes / 1000 / (cpuMs() - warm) };
  });
}
