/** What every part of the installer needs: where it is, where things go, and how a command is run. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const here = fileURLToPath(new URL('.', import.meta.url));
export const work =
  process.env.SECRETS_BACKENDS_DIR ?? fileURLToPath(new URL('../../.work', import.meta.url));
mkdirSync(work, { recursive: true });

export async function run(command, args, options = {}) {
  const [code, signal] = await once(spawn(command, args, { stdio: 'inherit', ...options }), 'close');
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ended with ${signal ?? code}`);
}
