/**
 * Narrows a list to a prefix by the server's text search, where that can lose nothing.
 *
 * Conjur searches ids by whole words, parted at `.`, `/` and `-`, in PostgreSQL's English dictionary; a query of
 * nothing but stop words ("other", "these") finds nothing. So only whole words of plain letters and digits are asked
 * for, and only if one of them is no stop word; what comes back is still filtered by the prefix.
 * Source: https://www.postgresql.org/docs/current/textsearch-dictionaries.html#TEXTSEARCH-STOPWORDS
 */

/** The stop words of five letters and more. */
const LONG_STOP_WORDS = new Set(
  'about above after again against because before being below between doing during further having herself himself itself myself other ourselves should their theirs themselves there these those through under until where which while would yours yourself yourselves'.split(
    ' ',
  ),
);

/** The query for a prefix; `undefined` where the whole list must be read. */
export function searchFor(prefix: string): string | undefined {
  const segments = prefix.split('/').slice(0, -1);
  // Characters that make words of another kind (e-mail addresses, tags, numbers) are not reckoned with.
  if (!segments.every((segment) => /^[A-Za-z0-9-]+$/.test(segment))) return undefined;
  const words = segments
    .flatMap((segment) => segment.split('-'))
    .filter((word) => /^[A-Za-z][A-Za-z0-9]*$/.test(word));
  const strong = words.some((word) => word.length >= 5 && !LONG_STOP_WORDS.has(word.toLowerCase()));
  return strong ? words.join(' ') : undefined;
}
