/** What a client may send on the agent's socket. Anything else is refused: it may be anybody's program. */
import * as v from 'valibot';
import type { AgentRequest } from '../core/agent/messages.ts';
import { SecretsError } from '../core/errors.ts';
import type { JsonValue } from '../core/json.ts';
import { isOfRequest } from '../session/agent-identity.ts';
import type { ProviderDescriptor } from '../providers/descriptor.ts';

const MOST_REQUESTS = 1000;
const MOST_WAIT_MS = 24 * 3_600_000;

const text = v.pipe(v.string(), v.maxLength(8192));
const pid = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const settings = v.record(
  text,
  v.custom<JsonValue>((value) => value !== undefined),
);

const identity = v.strictObject({ version: text, home: text, environment: text, log: text });

const read = v.strictObject({
  op: v.literal('read'),
  identity,
  mode: v.picklist(['required', 'best-effort']),
  store: v.strictObject({ name: text, provider: text, settings, native: v.optional(settings) }),
  cwd: v.pipe(text, v.startsWith('/')),
  credentials: text,
  client: v.strictObject({
    command: v.picklist(['get', 'exec', 'env']),
    pid,
    reason: v.optional(v.pipe(v.string(), v.maxLength(1000))),
  }),
  requests: v.pipe(
    v.array(
      v.strictObject({
        name: text,
        version: v.optional(text),
        stage: v.optional(text),
        keys: v.optional(v.array(text)),
      }),
    ),
    v.minLength(1),
    v.maxLength(MOST_REQUESTS),
  ),
  waitMs: v.pipe(v.number(), v.minValue(0), v.maxValue(MOST_WAIT_MS)),
});

const get = v.strictObject({
  op: v.literal('get'),
  identity: v.strictObject({ version: text, home: text, environment: text }),
  place: text,
  cwd: v.pipe(text, v.startsWith('/')),
  reference: text,
  variables: v.record(v.pipe(text, v.check(isOfRequest)), v.string()),
  terminal: v.boolean(),
  pid,
});

const schema = v.variant('op', [
  v.strictObject({ op: v.literal('status'), identity: v.optional(identity) }),
  v.strictObject({ op: v.literal('clear') }),
  v.strictObject({ op: v.literal('stop') }),
  v.strictObject({ op: v.literal('drop'), provider: text }),
  read,
  get,
]);

/** The request, or undefined if it isn't one. */
export function parseRequest(message: unknown): AgentRequest | undefined {
  const parsed = v.safeParse(schema, message);
  return parsed.success ? (parsed.output as AgentRequest) : undefined;
}

/** @throws SecretsError Usage if the settings aren't such a provider's */
export async function checkSettings(descriptor: ProviderDescriptor, given: unknown): Promise<void> {
  if (v.safeParse(await descriptor.schema(), given).success) return;
  throw new SecretsError('Usage', `these are not settings of a store of provider ${descriptor.kind}`);
}
