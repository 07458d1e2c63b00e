/** Detects lists in place of maps, which the schema library accepts. */

/** Where a list was taken for a map: for the schema library, every list is a map with the keys 0, 1 and so on. */
export function listAsMap(
  input: unknown,
  output: unknown,
  at: readonly string[],
): readonly string[] | undefined {
  if (typeof input !== 'object' || input === null) return undefined;
  if (Array.isArray(input) && !Array.isArray(output)) return at;
  for (const [key, value] of Object.entries(input)) {
    const found = listAsMap(value, (output as Readonly<Record<string, unknown>>)[key], [...at, key]);
    if (found !== undefined) return found;
  }
  return undefined;
}
