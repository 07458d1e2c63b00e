/** The sections about accesses and ages: charts, each with its numbers as a table. */
import type { AgeBucket, ReportAccess, ReportData } from '../../core/findings/report.ts';
import { type Bar, barChart, heatMap, hourOf, meter, WEEKDAYS } from './charts.ts';
import { count, html, isolated, type Markup, place, plural, timeOf } from './markup.ts';

const DAY_MS = 86_400_000;
/** More bars would be too thin: each then stands for a week or longer. */
const MAX_BARS = 190;

const SERIES = [
  ['reads', 'Reads'],
  ['denied', 'Denied'],
  ['failed', 'Failed'],
  ['other', 'Writes and others'],
] as const;

export function accessSection(data: ReportData): Markup {
  const { access } = data;
  return html`<section id="access" aria-labelledby="access-h">
    <h2 id="access-h">Access</h2>
    ${
      access.events === 0
        ? html`<p>There are no events of this period: neither in a log nor in a trail.</p>`
        : html`<p>
              ${plural(access.events, 'event')} by ${plural(access.principals, 'reader')}, from
              ${Object.entries(access.origins).map(
                ([origin, events], index) => html`${index > 0 && ', '}${isolated(origin)} (${count(events)})`,
              )}.
              All times are UTC.
            </p>
            ${overTime(data)} ${hours(access)} ${readers(access)} ${secrets(access)}`
    }
  </section>`;
}

interface Span {
  readonly label: string;
  readonly sums: Record<(typeof SERIES)[number][0], number>;
}

/** The days of the period, including those without events, grouped if there are many. */
function spansOf({ access, period }: ReportData): { readonly days: number; readonly spans: readonly Span[] } {
  const numberOf = (day: string): number => Math.floor(Date.parse(day.slice(0, 10)) / DAY_MS);
  const seen = access.days.map(({ day }) => numberOf(day));
  const from = Math.min(numberOf(period.since), ...seen.slice(0, 1));
  const to = Math.max(numberOf(period.until), ...seen.slice(-1));
  const length = to - from + 1;
  const days = length <= MAX_BARS ? 1 : length <= MAX_BARS * 7 ? 7 : Math.ceil(length / MAX_BARS);
  const dayOf = (number: number): string => new Date(number * DAY_MS).toISOString().slice(0, 10);
  const spans = Array.from({ length: Math.ceil(length / days) }, (_, index): Span => {
    const first = from + index * days;
    const last = Math.min(to, first + days - 1);
    return {
      label: last === first ? dayOf(first) : `${dayOf(first)} to ${dayOf(last)}`,
      sums: { reads: 0, denied: 0, failed: 0, other: 0 },
    };
  });
  for (const [index, day] of access.days.entries()) {
    const span = spans[Math.floor(((seen[index] ?? from) - from) / days)];
    if (span !== undefined) for (const [key] of SERIES) span.sums[key] += day[key];
  }
  return { days, spans };
}

function overTime(data: ReportData): Markup {
  const { days, spans } = spansOf(data);
  const each = days === 1 ? 'a day' : days === 7 ? 'a week' : `in each ${days} days`;
  const shown = SERIES.filter(([key]) => key === 'reads' || spans.some(({ sums }) => sums[key] > 0));
  const middle = spans[Math.floor(spans.length / 2)]?.label ?? '';
  return html`<h3 id="over-time">Access over time</h3>
    <figure aria-labelledby="over-time">
      ${shown.map(([key, name]) => {
        const bars = spans.map(({ label, sums }): Bar => ({
          label: `${label}: ${count(sums[key])}`,
          value: sums[key],
        }));
        const total = bars.reduce((sum, { value }) => sum + value, 0);
        const most = Math.max(...bars.map(({ value }) => value));
        const when = spans.find(({ sums }) => sums[key] === most)?.label ?? '';
        const about = `${count(total)} in all${total > 0 ? `, at most ${count(most)} ${each} (${when})` : ''}`;
        return html`<p class="series"><strong>${name}</strong> ${about}</p>
          ${barChart(`over-time-${key}`, key, `${name} ${each}`, about, bars)}`;
      })}
      <p class="axis" aria-hidden="true">
        <span>${spans[0]?.label.slice(0, 10)}</span><span>${middle.slice(0, 10)}</span
        ><span>${spans.at(-1)?.label.slice(-10)}</span>
      </p>
      <figcaption>Each row has a scale of its own.</figcaption>
    </figure>
    <details>
      <summary>Access over time as a table</summary>
      <div class="scroll" role="group" aria-label="Access over time" tabindex="0">
        <table>
          <caption>
            Accesses ${each}; what is not listed had none
          </caption>
          <thead>
            <tr>
              <th scope="col">${days === 1 ? 'Day' : 'Days'}</th>
              ${shown.map(([, name]) => html`<th scope="col" class="number">${name}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${spans
              .filter(({ sums }) => SERIES.some(([key]) => sums[key] > 0))
              .map(
                ({ label, sums }) =>
                  html`<tr>
                    <th scope="row">${label}</th>
                    ${shown.map(([key]) => html`<td class="number">${count(sums[key])}</td>`)}
                  </tr> `,
              )}
          </tbody>
        </table>
      </div>
    </details>`;
}

function hours({ hours: rows }: ReportAccess): Markup {
  const all = rows.flatMap((row, day) => row.map((value, hour) => ({ value, day, hour })));
  const most = all.reduce((top, one) => (one.value > top.value ? one : top), { value: 0, day: 0, hour: 0 });
  const total = all.reduce((sum, { value }) => sum + value, 0);
  const idle = all.filter(({ value }) => value === 0).length;
  const about =
    total === 0
      ? 'There were no reads.'
      : `Most reads: ${count(most.value)} on ${WEEKDAYS[most.day]}s from ${hourOf(most.hour)}. ${idle === 0 ? 'No hour of the week' : `${idle} of the 168 hours of the week`} had none.`;
  return html`<h3 id="hours">Reads by weekday and hour</h3>
    <figure aria-labelledby="hours">
      <div class="scroll" role="group" aria-label="Heat map of the hours" tabindex="0">
        ${heatMap('heat', 'Reads by weekday and hour, UTC', about, rows)}
      </div>
      <figcaption>${about}</figcaption>
    </figure>
    <details>
      <summary>Reads by weekday and hour as a table</summary>
      <div class="scroll" role="group" aria-label="Reads by weekday and hour" tabindex="0">
        <table>
          <caption>
            Allowed reads by hour (UTC) and weekday
          </caption>
          <thead>
            <tr>
              <th scope="col">Hour</th>
              ${WEEKDAYS.map((day) => html`<th scope="col" class="number">${day}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${Array.from(
              { length: 24 },
              (_, hour) =>
                html`<tr>
                  <th scope="row">${hourOf(hour)}</th>
                  ${WEEKDAYS.map((_day, day) => html`<td class="number">${count(rows[day]?.[hour] ?? 0)}</td>`)}
                </tr> `,
            )}
          </tbody>
        </table>
      </div>
    </details>`;
}

function readers({ readers: list, principals }: ReportAccess): Markup {
  const most = Math.max(1, ...list.map(({ reads }) => reads));
  return html`<h3 id="readers">Top readers</h3>
    <div class="scroll" role="group" aria-labelledby="readers" tabindex="0">
      <table>
        <caption>
          ${list.length < principals ? `The ${list.length} of ${count(principals)} readers that read most` : 'All readers'}
        </caption>
        <thead>
          <tr>
            <th scope="col">Principal</th>
            <th scope="col" class="number">Reads</th>
            <th scope="col" class="number">Secrets</th>
            <th scope="col" class="number">Denied</th>
            <th scope="col">Last</th>
          </tr>
        </thead>
        <tbody>
          ${list.map(
            ({ principal, reads, secrets: own, denied, last }) =>
              html`<tr>
                <th scope="row" class="name">${isolated(principal)}</th>
                <td class="number">${count(reads)} ${meter(reads, most)}</td>
                <td class="number">${count(own)}</td>
                <td class="number">${count(denied)}</td>
                <td>${timeOf(last)}</td>
              </tr> `,
          )}
        </tbody>
      </table>
    </div>`;
}

function secrets({ secrets: list }: ReportAccess): Markup | false {
  const most = Math.max(1, ...list.map(({ reads }) => reads));
  return (
    list.length > 0 &&
    html`<h3 id="secrets">Secrets read most</h3>
      <div class="scroll" role="group" aria-labelledby="secrets" tabindex="0">
        <table>
          <caption>
            Secrets by allowed reads
          </caption>
          <thead>
            <tr>
              <th scope="col">Secret</th>
              <th scope="col" class="number">Reads</th>
              <th scope="col" class="number">Readers</th>
            </tr>
          </thead>
          <tbody>
            ${list.map(
              ({ store, secret, reads, readers: own }) =>
                html`<tr>
                  <th scope="row" class="name">${place(store, secret)}</th>
                  <td class="number">${count(reads)} ${meter(reads, most)}</td>
                  <td class="number">${count(own)}</td>
                </tr> `,
            )}
          </tbody>
        </table>
      </div>`
  );
}

export function agesSection(ages: readonly AgeBucket[]): Markup {
  const most = Math.max(1, ...ages.map(({ secrets: number }) => number));
  return html`<section id="ages" aria-labelledby="ages-h">
    <h2 id="ages-h">Ages</h2>
    <div class="scroll" role="group" aria-label="Ages" tabindex="0">
      <table class="ages">
        <caption>
          How old current values are, in secrets
        </caption>
        <thead>
          <tr>
            <th scope="col">Age</th>
            <th scope="col" class="number">Secrets</th>
            <td></td>
          </tr>
        </thead>
        <tbody>
          ${ages.map(
            ({ label, secrets: number }) =>
              html`<tr>
                <th scope="row">${label}</th>
                <td class="number">${count(number)}</td>
                <td class="wide">${meter(number, most)}</td>
              </tr> `,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}
