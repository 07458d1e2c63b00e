/** The order of names in output: the same on every machine, and whichever store answers first. */

export function compareText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

interface Referring {
  readonly reference?: string | undefined;
}

/** What names no reference comes first. */
export function byReference(one: Referring, other: Referring): number {
  return compareText(one.reference ?? '', other.reference ?? '');
}
