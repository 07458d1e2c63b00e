// Writes schemas/secrets.schema.json and schemas/plugin/answer.schema.json, after a change of src/config/schema.ts, of a
// provider's settings, or of src/providers/exec/protocol.ts; and schemas/secrets.cedarschema, the schema of policies.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { importSource, root } from './import-source.mjs';

const source = `
  import { configSchema, SCHEMA_FILE } from ${JSON.stringify(join(root, 'scripts/config-schema.ts'))};
  import { providers } from ${JSON.stringify(join(root, 'src/providers/registry.ts'))};
  import { ANSWER_FILE, answerSchemaDocument } from ${JSON.stringify(join(root, 'scripts/plugin-schema.ts'))};
  export { POLICY_SCHEMA } from ${JSON.stringify(join(root, 'src/core/policy/schema.ts'))};
  export const files = [
    [SCHEMA_FILE, await configSchema(providers)],
    [ANSWER_FILE, answerSchemaDocument()],
  ];
`;
const { files, POLICY_SCHEMA } = await importSource(source, {
  // Only the settings are needed; the adapters and their SDKs stay unread.
  external: (id) => /\/index\.ts$/.test(id) && !id.endsWith('targets/index.ts'),
});
for (const [file, schema] of files) await writeFile(join(root, file), `${JSON.stringify(schema, null, 2)}\n`);
await writeFile(join(root, 'schemas/secrets.cedarschema'), POLICY_SCHEMA);
