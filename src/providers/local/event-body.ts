/** Whether what was in a box is an entry: docs/local-store.md, section 5. */
import * as v from 'valibot';
import { fromBase64 } from './crypto.ts';
import type { EventBody } from './state.ts';

const id = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const common = { name: v.string(), parent: v.exactOptional(id), by: v.exactOptional(v.string()) };
const version = {
  version: count,
  stage: v.picklist(['current', 'pending']),
  labels: v.exactOptional(v.record(v.string(), v.nullable(v.string()))),
  description: v.exactOptional(v.string()),
};
const { parent, by } = common;

const schema = v.variant('type', [
  v.object({
    type: v.literal('value'),
    ...common,
    ...version,
    value: v.pipe(
      v.string(),
      v.check((text) => fromBase64(text) !== undefined),
    ),
    expires: v.exactOptional(count),
  }),
  v.object({ type: v.literal('current'), ...common, target: id }),
  v.object({ type: v.literal('delete'), ...common }),
  v.object({ type: v.literal('restore'), ...common }),
  v.object({
    type: v.literal('destroy'),
    ...common,
    target: id,
    removed: v.object({ number: count, time: count, parent, by, ...version }),
  }),
]) satisfies v.GenericSchema<EventBody>;

/** Members that are not named are let be. */
export function isEventBody(body: unknown): body is EventBody {
  return v.is(schema, body);
}
