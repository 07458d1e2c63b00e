/**
 * The messages between `secrets` and a plugin: docs/plugins.md, version 1. The schemas here validate a plugin's
 * responses; schemas/plugin/answer.schema.json is generated from them. Unknown fields are ignored.
 */
import * as v from 'valibot';
import type { ErrorKind } from '../../core/errors.ts';

/** The protocol versions that this program supports. */
export const PROTOCOL = { min: 1, max: 1 } as const;

export const LIMITS = {
  /** The longest response line before the handshake is complete. */
  helloLine: 64 * 1024,
  /** Room for names, labels and dates besides the value. */
  lineSlack: 256 * 1024,
  /** The largest value size that a plugin may declare. */
  maxValueBytes: 16 * 1024 * 1024,
  /** The longest name that a plugin may declare. */
  maxNameLength: 4096,
  /** Maximum of parallel requests; more wait here. */
  outstanding: 32,
  /** Maximum of cancelled requests that haven't been answered. */
  cancelled: 64,
  /** Maximum of secrets in one `get`. */
  batch: 256,
  /** Maximum of items for one `list` or `history` request: a longer list is paged. */
  pageItems: 100_000,
  pageBytes: 64 * 1024 * 1024,
  /** Maximum of pages in one list. */
  pages: 100_000,
  /** The time limit for the handshake in milliseconds, unless the command's is shorter. */
  helloMs: 10_000,
} as const;

/** The longest line for a plugin with this largest value. */
export const maxLine = (maxValueBytes: number): number => 2 * maxValueBytes + LIMITS.lineSlack;

export const CAPABILITIES = ['versions', 'stages', 'soft-delete', 'labels', 'batch-get', 'cas'] as const;

/** The error kinds that a plugin may return; any other becomes `Failed`. */
export const KINDS: readonly ErrorKind[] = [
  'NotFound',
  'Denied',
  'Unauthenticated',
  'Conflict',
  'Throttled',
  'Unavailable',
  'Invalid',
  'Unsupported',
  'Integrity',
  'Failed',
];

export type Method =
  | 'hello'
  | 'get'
  | 'put'
  | 'list'
  | 'delete'
  | 'describe'
  | 'identity'
  | 'diagnose'
  | 'history'
  | 'makeCurrent'
  | 'restore'
  | 'purge';

const text = v.pipe(v.string(), v.nonEmpty(), v.maxLength(8192));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
/** `null` counts as missing, because many languages write it for unset fields. */
const optional = <S extends v.GenericSchema>(schema: S): v.NullishSchema<S, undefined> => v.nullish(schema);
/** RFC 3339, with `Z` or an offset. */
const date = v.pipe(
  v.string(),
  v.isoTimestamp(),
  v.check((given) => !Number.isNaN(Date.parse(given))),
);
const base64 = v.pipe(v.string(), v.regex(/^[A-Za-z0-9+/]*={0,2}$/, 'base64'));
const labels = v.record(v.string(), v.string());

export const errorSchema = v.object({
  kind: v.string(),
  message: v.string(),
  hint: optional(v.string()),
  inDoubt: v.pipe(optional(v.boolean()), v.description('of a write: it is not known whether it took place')),
});

/** One line from a plugin. */
export const answerSchema = v.object({
  id: v.pipe(v.number(), v.integer(), v.minValue(1)),
  result: v.optional(v.looseObject({})),
  error: v.optional(errorSchema),
  item: v.optional(v.looseObject({})),
});

export const helloSchema = v.object({
  protocol: count,
  name: text,
  version: text,
  capabilities: v.array(v.string()),
  rules: v.object({
    maxNameLength: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(LIMITS.maxNameLength)),
    nameUnit: optional(v.picklist(['characters', 'bytes'])),
    nameRule: text,
    maxValueBytes: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(LIMITS.maxValueBytes)),
    emptyValue: v.boolean(),
    blankValue: optional(v.boolean()),
  }),
});

export const versionSchema = v.object({
  id: text,
  state: v.picklist(['enabled', 'disabled', 'deleted', 'destroyed']),
  stages: optional(v.array(v.string())),
  createdAt: optional(date),
  createdBy: optional(v.string()),
  expiresAt: optional(date),
  note: optional(v.string()),
});

export const secretSchema = v.object({ ...versionSchema.entries, value: base64 });

export const infoSchema = v.object({
  name: text,
  nativeId: optional(v.string()),
  description: optional(v.string()),
  labels: optional(labels),
  createdAt: optional(date),
  updatedAt: optional(date),
  expiresAt: optional(date),
  deletedAt: optional(date),
  purgeAt: optional(date),
  currentVersion: optional(v.string()),
});

/** An item of `get`: the result for the request with this index, counted from 0. */
export const gotSchema = v.object({
  index: count,
  secret: v.optional(secretSchema),
  error: v.optional(errorSchema),
});

export const pageSchema = v.object({ next: optional(text) });
export const deletionSchema = v.object({ recoverableUntil: optional(date) });
export const identitySchema = v.object({
  principal: text,
  source: text,
  details: optional(v.record(v.string(), v.string())),
});
export const findingsSchema = v.object({
  findings: v.array(
    v.object({
      check: text,
      status: v.picklist(['ok', 'warn', 'fail']),
      detail: v.string(),
      hint: optional(v.string()),
    }),
  ),
});
export const nothingSchema = v.object({});

/** The results of each method, and the items of streaming methods. */
export const RESULTS = {
  hello: helloSchema,
  get: nothingSchema,
  put: versionSchema,
  list: pageSchema,
  delete: deletionSchema,
  describe: infoSchema,
  identity: identitySchema,
  diagnose: findingsSchema,
  history: nothingSchema,
  makeCurrent: versionSchema,
  restore: nothingSchema,
  purge: nothingSchema,
} as const satisfies Record<Method, v.GenericSchema>;

export const ITEMS = { get: gotSchema, list: infoSchema, history: versionSchema } as const;
export type Streaming = keyof typeof ITEMS;

/** Methods that change something: after a lost response, the outcome is unknown. */
export const WRITES: ReadonlySet<Method> = new Set<Method>([
  'put',
  'delete',
  'makeCurrent',
  'restore',
  'purge',
]);

export type Result<M extends Method> = v.InferOutput<(typeof RESULTS)[M]>;
export type Item<M extends Streaming> = v.InferOutput<(typeof ITEMS)[M]>;
