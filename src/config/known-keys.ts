/** Looks into schemas, for messages that say what could have been meant. */

/** The keys that a schema knows at a path; none where any key may stand. */
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
  /** Of a map that has some keys of its own, and others by a rule. */
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
