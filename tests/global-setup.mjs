// A folder of this run for what its test files share (tests/shared.ts), and for everything that they make in the
// system's folder for temporary files: it is gone when the run ends, however they end.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export default function setup({ seed }) {
  // What a small run takes of its loops (tests/size.ts).
  process.env.SECRETS_TEST_SAMPLE = String(seed);
  // Short: the paths of sockets in it may have 107 bytes.
  const folder = mkdtempSync(join(tmpdir(), 'st-'));
  // Servers that run as another user have folders in it.
  chmodSync(folder, 0o711);
  process.env.SECRETS_TEST_RUN = folder;
  process.env.TMPDIR = folder;
}

export function teardown() {
  rmSync(process.env.SECRETS_TEST_RUN, { recursive: true, force: true, maxRetries: 3 });
}
