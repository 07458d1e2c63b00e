/** Lists where maps belong, which the schema library lets pass. */

/** Where a list was taken for a map: to the schema library each list is one, with the keys 0, 1 and so on. */
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
