/**
 * Narrows a list to a prefix with the server's text search, where that can't lose any name.
 *
 * Conjur searches ids by whole words, separated by `.`, `/` and `-`, in PostgreSQL's English dictionary; a query that
 * contains only stop words ("other", "these") finds nothing. So the query contains only whole words of plain letters
 * and digits, and is only used if one of them isn't a stop word; the result is still filtered by the prefix. Source:
 * https://www.postgresql.org/docs/current/textsearch-dictionaries.html#TEXTSEARCH-STOPWORDS
 */

/** Stop words with five or more letters. */
const LONG_STOP_WORDS = new Set(
  'about above after again against because before being below between doing during further having herself himself itself myself other ourselves should their theirs themselves there these those through under until where which while would yours yourself yourselves'.split(
    ' ',
  ),
);

/** The query for a prefix; `undefined` if the whole list has to be read. */
export function searchFor(prefix: string): string | undefined {
  const segments = prefix.split('/').slice(0, -1);
  // Other characters form other kinds of words (e-mail addresses, tags, numbers), which this doesn't handle.
  if (!segments.every((segment) => /^[A-Za-z0-9-]+$/.test(segment))) return undefined;
  const words = segments
    .flatMap((segment) => segment.split('-'))
    .filter((word) => /^[A-Za-z][A-Za-z0-9]*$/.test(word));
  const strong = words.some((word) => word.length >= 5 && !LONG_STOP_WORDS.has(word.toLowerCase()));
  return strong ? words.join(' ') : undefined;
}
