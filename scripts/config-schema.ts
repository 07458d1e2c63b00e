/** The JSON Schema of secrets.yaml, for editors and CI: made from the schemas that the loader checks by. */
import { toJsonSchema } from '@valibot/to-json-schema';
import * as v from 'valibot';
import { notify } from '../src/config/rotation.ts';
import { fileSchema } from '../src/config/schema.ts';
import type { ProviderDescriptor } from '../src/providers/descriptor.ts';
import { targets } from '../src/rotation/targets/index.ts';

export const SCHEMA_FILE = 'schemas/secrets.schema.json';

export async function configSchema(providers: readonly ProviderDescriptor[]): Promise<object> {
  const stores = await Promise.all(
    providers.map(async ({ kind, title, schema }) => {
      const { entries } = (await schema()) as v.StrictObjectSchema<v.ObjectEntries, undefined>;
      const settings = v.strictObject({ provider: v.literal(kind), ...entries });
      return v.pipe(settings, v.title(title));
    }),
  );
  const store = v.union(stores as unknown as readonly v.GenericSchema[]);
  const kinds: v.GenericSchema[] = [];
  // One after another: jest's loader of ES modules trips over two imports that share a module.
  for (const { type, title, schema } of targets) {
    const { entries } = (await schema()) as v.StrictObjectSchema<v.ObjectEntries, undefined>;
    kinds.push(v.pipe(v.strictObject({ type: v.literal(type), ...entries }), v.title(title)));
  }
  const target = v.union(kinds);
  const natives: v.GenericSchema[] = [];
  for (const { title, nativeRotation } of providers) {
    if (nativeRotation === undefined) continue;
    natives.push(v.pipe((await nativeRotation.schema()) as v.GenericSchema, v.title(title)));
  }
  const native = v.union(natives);
  const { $schema, ...schema } = toJsonSchema(fileSchema(store, target, native), {
    target: 'draft-2020-12',
    definitions: { store, target, notify, native },
    // A rule that JSON Schema has no word for is the loader's alone.
    errorMode: 'ignore',
  });
  return {
    $schema,
    title: 'secrets.yaml',
    description: 'Which secrets a project needs and where they are. docs/configuration.md explains it.',
    ...schema,
  };
}
