// Bundles full.ts into the program that its argument names. A process of its own: the bundler does not run inside jest.
import { chmod, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const bundled = await rolldown({
  input: fileURLToPath(new URL('full.ts', import.meta.url)),
  platform: 'node',
  external: ['@napi-rs/keyring', 'age-encryption'],
});
const { output } = await bundled.generate({ format: 'cjs', codeSplitting: false });
await bundled.close();
const file = process.argv[2];
await writeFile(file, `#!${process.execPath}\n${output[0].code}`);
await chmod(file, 0o755);
