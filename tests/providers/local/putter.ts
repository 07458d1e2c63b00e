/** A program that writes a secret of the local store again and again: `node putter.cjs NAME TIMES PREFIX`. */
import { open } from '../../../src/providers/local/index.ts';

async function main(): Promise<void> {
  const [name = '', times, prefix] = process.argv.slice(2);
  const home = process.env['HOME'] ?? '';
  const env = { SECRETS_LOCAL_KEY_METHOD: 'key-file' };
  for (let turn = 0; turn < Number(times); turn += 1) {
    // Opened anew each time: nothing that one put learned helps the next.
    const store = open(
      {},
      {
        ...{ store: 'local', env, home, cwd: home, askHidden: undefined },
        now: () => new Date(),
        warn: () => undefined,
        debug: () => undefined,
      },
    );
    const value = Buffer.from(`${prefix}-${turn}`);
    await store.put(name, { value }, { signal: AbortSignal.timeout(200_000) });
    await store.close();
  }
}

void main();
