// Writes schemas/secrets.schema.json, after a change of src/config/schema.ts or of a provider's settings.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = `
  import { configSchema, SCHEMA_FILE } from ${JSON.stringify(join(root, 'scripts/config-schema.ts'))};
  import { providers } from ${JSON.stringify(join(root, 'src/providers/registry.ts'))};
  export const file = SCHEMA_FILE;
  export const schema = await configSchema(providers);
`;
const bundle = await rolldown({
  cwd: root,
  input: 'entry',
  platform: 'node',
  // Only the settings are needed; the adapters and their SDKs stay unread.
  external: (id) => /\/index\.ts$/.test(id),
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
const { file, schema } = await import(
  `data:text/javascript;base64,${Buffer.from(output[0].code).toString('base64')}`
);
await writeFile(join(root, file), `${JSON.stringify(schema, null, 2)}\n`);
