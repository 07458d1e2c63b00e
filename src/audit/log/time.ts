/** The time of a record, as in JSON. */

const DAY_MS = 86_400_000;

/**
 * Formats like `Date.prototype.toISOString`, whose first call takes longer than everything else about a record,
 * because V8 sets up a calendar for it. Days to civil date:
 * https://howardhinnant.github.io/date_algorithms.html#civil_from_days
 * @param ms since 1970, for the years 0 to 9999
 */
export function isoTime(ms: number): string {
  const days = Math.floor(ms / DAY_MS) + 719_468;
  const era = Math.floor(days / 146_097);
  const dayOfEra = days - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const day = dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1;
  const rest = ms - Math.floor(ms / DAY_MS) * DAY_MS;
  const two = (number: number): string => (number < 10 ? `0${number}` : String(number));
  const clock = [Math.floor(rest / 3_600_000), Math.floor(rest / 60_000) % 60, Math.floor(rest / 1000) % 60];
  const date = `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
  return `${date}T${clock.map(two).join(':')}.${String(rest % 1000).padStart(3, '0')}Z`;
}
