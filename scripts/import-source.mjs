// Imports TypeScript sources into a script: bundles what `source` exports, which may import by absolute paths.
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

/** The checkout's folder. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/** @param options further ones for rolldown, such as `external` */
export async function importSource(source, options = {}) {
  const bundle = await rolldown({
    cwd: root,
    input: 'entry',
    platform: 'node',
    ...options,
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === 'entry' ? id : undefined),
        load: (id) => (id === 'entry' ? source : undefined),
      },
    ],
  });
  const { output } = await bundle.generate({ format: 'esm', codeSplitting: false });
  await bundle.close();
  return import(`data:text/javascript;base64,${Buffer.from(output[0].code).toString('base64')}`);
}
