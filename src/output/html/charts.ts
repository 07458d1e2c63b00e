/**
 * Charts as plain SVG. Bars and a grid are rectangles; chart libraries set style attributes, which the page's policy
 * blocks, and need a document to draw in. Every chart has a table with the same numbers.
 */
import { count, html, type Markup } from './markup.ts';

export interface Bar {
  /** The tooltip: `2026-11-24: 12 reads`. */
  readonly label: string;
  readonly value: number;
}

/** @param id prefix of the ids of its title and description; unique in the page */
export function barChart(
  id: string,
  kind: string,
  title: string,
  description: string,
  bars: readonly Bar[],
): Markup {
  const most = Math.max(1, ...bars.map(({ value }) => value));
  return html`<svg
    class="bars ${kind}"
    viewBox="0 0 ${bars.length * 10} 100"
    preserveAspectRatio="none"
    role="img"
    aria-labelledby="${id}-title ${id}-desc"
  >
    <title id="${id}-title">${title}</title>
    <desc id="${id}-desc">${description}</desc>
    ${bars.map(({ label, value }, index) => {
      // Keep a small value visible beside a large one.
      const height = value === 0 ? 0 : Math.max(3, round((value / most) * 100));
      return (
        height > 0 &&
        html`<rect x="${index * 10 + 1}" y="${round(100 - height)}" width="8" height="${height}"
          ><title>${label}</title></rect
        >`
      );
    })}
  </svg>`;
}

/** Shows the size of a number beside it in a table; adds no information. */
export function meter(value: number, most: number): Markup {
  const width = value === 0 ? 0 : Math.max(1, round((value / Math.max(1, most)) * 100));
  return html`<svg
    class="meter"
    viewBox="0 0 100 10"
    preserveAspectRatio="none"
    aria-hidden="true"
    focusable="false"
  >
    <rect width="${width}" height="10" />
  </svg>`;
}

export const WEEKDAYS = [
  'Monday',
  'Tuesday',
  'Wednesday',
  'Thursday',
  'Friday',
  'Saturday',
  'Sunday',
] as const;

const CELL = { width: 29, height: 27 };
const LEFT = 40;
const TOP = 20;
/** Shades, not counting zero. */
const STEPS = 5;

/** @param rows Monday to Sunday, 24 numbers each */
export function heatMap(
  id: string,
  title: string,
  description: string,
  rows: readonly (readonly number[])[],
): Markup {
  const most = Math.max(1, ...rows.flat());
  return html`<svg
    class="heat"
    viewBox="0 0 ${LEFT + 24 * CELL.width} ${TOP + 7 * CELL.height}"
    role="img"
    aria-labelledby="${id}-title ${id}-desc"
  >
    <title id="${id}-title">${title}</title>
    <desc id="${id}-desc">${description}</desc>
    ${Array.from({ length: 24 }, (_, hour) => html`<text class="label" x="${centre(hour)}" y="13" text-anchor="middle">${hour}</text>`)}
    ${WEEKDAYS.map(
      (day, row) =>
        html`<text class="label" x="0" y="${TOP + row * CELL.height + 18}">${day.slice(0, 3)}</text
          >${(rows[row] ?? []).map((value, hour) => cell(value, most, row, hour))}`,
    )}
  </svg>`;
}

function cell(value: number, most: number, row: number, hour: number): Markup {
  const step = value === 0 ? 0 : Math.ceil((value / most) * STEPS);
  const y = TOP + row * CELL.height;
  return html`<g class="step${step}"
    ><title>${WEEKDAYS[row]}, ${hourOf(hour)}: ${count(value)}</title
    ><rect
      x="${LEFT + hour * CELL.width + 1}"
      y="${y + 1}"
      width="${CELL.width - 2}"
      height="${CELL.height - 2}"
      rx="3"
    />${value > 0 && html`<text x="${centre(hour)}" y="${y + 17}" text-anchor="middle">${compact(value)}</text>`}</g
  >`;
}

function centre(hour: number): number {
  return LEFT + (hour + 0.5) * CELL.width;
}

/** `9 to 10 h`. */
export function hourOf(hour: number): string {
  return `${hour} to ${hour + 1} h`;
}

/** At most four characters: `999`, `1.2k`, `12k`, `3.4M`. */
export function compact(value: number): string {
  for (const [unit, size] of [
    ['', 1],
    ['k', 1e3],
    ['M', 1e6],
    ['G', 1e9],
  ] as const) {
    const scaled = value / size;
    if (scaled < 9.95 && unit !== '') return `${Number(scaled.toFixed(1))}${unit}`;
    if (scaled < 999.5) return `${Math.round(scaled)}${unit}`;
  }
  return value.toExponential(0);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
