/** Extracts known keys from schemas, for "did you mean" messages. */

/** The keys that a schema knows at a path; none if any key is allowed. */
export function knownKeys(schema: unknown, path: readonly string[]): readonly string[] {
  let here = unwrap(schema);
  for (const key of path) {
    if (here?.entries !== undefined) here = unwrap(here.entries[key] ?? here.rest);
    else if (here?.value !== undefined) here = unwrap(here.value);
    else return [];
  }
  return Object.keys(here?.entries ?? {});
}

interface SchemaParts {
  readonly entries?: Readonly<Record<string, unknown>>;
  readonly value?: unknown;
  /** The schema of further keys, in a map that also has fixed keys. */
  readonly rest?: unknown;
  readonly wrapped?: unknown;
  readonly options?: readonly unknown[];
}

function unwrap(schema: unknown): SchemaParts | undefined {
  const parts = schema as SchemaParts | undefined;
  if (parts?.wrapped !== undefined) return unwrap(parts.wrapped);
  const choice = parts?.options?.map(unwrap).find((option) => option?.entries !== undefined);
  return choice ?? parts;
}
