/** Finds the known word that a mistyped one most likely stands for. */

/** @returns the nearest of `known`, if it is near enough */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  // A text this long isn't a mistyped name, and the distance takes quadratic time.
  if (word.length > 100) return undefined;
  const limit = word.length < 4 ? 1 : word.length < 8 ? 2 : 3;
  let best: string | undefined;
  let least = limit + 1;
  for (const name of known) {
    if (Math.abs(name.length - word.length) > limit) continue;
    const far = distance(word, name);
    if (far < least) {
      best = name;
      least = far;
    }
  }
  return best;
}

/** The number of insertions, deletions and replacements between two words (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1)
      next.push(
        Math.min(
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
        ),
      );
    row = next;
  }
  return row[b.length] ?? 0;
}
