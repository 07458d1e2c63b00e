/** The JSON Schema of what a plugin answers: made from the schemas that its answers are checked by. */
import { toJsonSchema } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import { answerSchema, errorSchema, ITEMS, RESULTS } from '../src/providers/exec/protocol.ts';

export const ANSWER_FILE = 'schemas/plugin/answer.schema.json';

export function answerSchemaDocument(): object {
  const plain = (schema: v.GenericSchema): object => {
    const { $schema: _, ...rest } = toJsonSchema(schema, { target: 'draft-2020-12', errorMode: 'ignore' });
    return rest;
  };
  const named = (prefix: string, schemas: Readonly<Record<string, v.GenericSchema>>): [string, object][] =>
    Object.entries(schemas).map(([method, schema]) => [`${prefix}-${method}`, plain(schema)]);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'An answer of a plugin to secrets',
    description:
      'One line of a plugin’s stdout. docs/plugins.md explains it. $defs has the result and the items of each method.',
    ...plain(answerSchema),
    oneOf: [{ required: ['result'] }, { required: ['error'] }, { required: ['item'] }],
    $defs: {
      error: plain(errorSchema),
      ...Object.fromEntries([...named('result', RESULTS), ...named('item', ITEMS)]),
    },
  };
}
