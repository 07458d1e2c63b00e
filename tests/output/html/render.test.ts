/** What can be told of the page without a browser; page.test.ts looks at it in one. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { pageScript, pageStyle } from '../../../src/output/html/assets.ts';
import { barChart, compact, heatMap, meter } from '../../../src/output/html/charts.ts';
import { escapeText, html } from '../../../src/output/html/markup.ts';
import { renderPage } from '../../../src/output/html/render.ts';
import { emptyReport } from './data.ts';

const page = renderPage(emptyReport(), '1.2.3');

test('the policy names the one script and the one style by their hashes, and allows nothing else', () => {
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/
    .exec(page)?.[1]
    ?.replaceAll('&#39;', "'");
  const hashOf = (element: string): string => {
    const all = [...page.matchAll(new RegExp(`<${element}>([\\s\\S]*?)</${element}>`, 'g'))];
    expect(all).toHaveLength(1);
    return `'sha256-${createHash('sha256')
      .update(all[0]?.[1] ?? '')
      .digest('base64')}'`;
  };
  expect(policy?.split('; ')).toEqual([
    "default-src 'none'",
    `style-src ${hashOf('style')}`,
    `script-src ${hashOf('script')}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ]);
  // It has to stand before what it is about.
  expect(page.indexOf('Content-Security-Policy')).toBeLessThan(page.indexOf('<style>'));
});

test('no attribute holds a script or a style, and no address leads out', () => {
  const markup = page.replace(pageStyle(), '').replace(pageScript(), '');
  expect(markup).not.toMatch(/<[^>]*\s(?:on\w+|style)=/);
  expect([...markup.matchAll(/(?:href|src|action)="([^"]*)"/g)].map(([, target]) => target)).toEqual(
    expect.arrayContaining(['#summary-h', 'data:,']),
  );
  expect(markup).not.toMatch(/(?:href|src|action)="(?!#|data:,")/);
  expect(`${pageStyle()}${pageScript()}`).not.toMatch(/https?:|url\(|@import|innerHTML|eval|<\/|<!--|\r/);
});

test('any text is escaped to what means itself, in content and in a quoted attribute', () => {
  const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const escaped = escapeText(text);
      expect(escaped).not.toMatch(/[<>"']|&(?!(?:amp|lt|gt|quot|#39);)/);
      const safe = escaped.replaceAll(/&(\w+|#39);/g, (_, name: string) => entities[name] ?? '');
      expect(safe).toBe(
        text
          .replaceAll('\n', ' ')
          .replaceAll(
            /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
            (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
          ),
      );
    }),
  );
});

test('only markup is markup', () => {
  expect(
    html`<p title="${'"'}">${'<b>'}${html`<i>${1}</i>`}${false}${undefined}${['&', html`<br />`]}</p>`.text,
  ).toBe('<p title="&quot;">&lt;b&gt;<i>1</i>&amp;<br /></p>');
  // What only looks like it, as from JSON, is none.
  expect(() => html`${{ text: '<b>' } as unknown as string}`).toThrow('is not a function');
});

test.each([
  [0, '0'],
  [999, '999'],
  [1000, '1k'],
  [1249, '1.2k'],
  [9960, '10k'],
  [99_499, '99k'],
  [999_600, '1M'],
  [3_400_000, '3.4M'],
  [2e10, '20G'],
])('%d in a cell is %s', (value, text) => {
  expect(compact(value)).toBe(text);
});

test('bars are as long as their numbers, and the smallest are still seen', () => {
  const bars = [0, 1, 500, 1000].map((value) => ({ label: `${value}`, value }));
  const heights = [
    ...barChart('x', 'reads', 't', 'd', bars).text.matchAll(/ y="([\d.]+)" width="8" height="([\d.]+)"/g),
  ];
  expect(heights.map(([, y, height]) => [y, height])).toEqual([
    ['97', '3'],
    ['50', '50'],
    ['0', '100'],
  ]);
  expect(meter(1, 1000).text).toContain('<rect width="1"');
  expect(meter(0, 0).text).toContain('<rect width="0"');
});

test('a cell of the heat map is the darker the more reads it had', () => {
  const rows = Array.from({ length: 7 }, () => Array.from({ length: 24 }, () => 0));
  (rows[2] as number[]).splice(9, 3, 1, 50, 100);
  const { text } = heatMap('x', 't', 'd', rows);
  for (const [step, label] of [
    [1, 'Wednesday, 9 to 10 h: 1'],
    [3, 'Wednesday, 10 to 11 h: 50'],
    [5, 'Wednesday, 11 to 12 h: 100'],
    [0, 'Wednesday, 12 to 13 h: 0'],
  ])
    expect(text).toMatch(new RegExp(`<g class="step${step}"><title>${label}</title>`));
});

test('a long period is shown in weeks, without losing an event', () => {
  const empty = emptyReport();
  const days = ['2025-01-01', '2025-01-07', '2025-01-08', '2026-11-24'].map((day) => ({
    day,
    reads: 10,
    denied: 0,
    failed: 1,
    other: 0,
  }));
  const text = renderPage(
    {
      ...empty,
      period: { since: '2025-01-01T00:00:00.000Z', until: '2026-11-24T12:00:00.000Z' },
      access: { ...empty.access, events: 44, days },
    },
    '1.2.3',
  );
  expect(text).toContain('40 in all, at most 20 a week (2025-01-01 to 2025-01-07)');
  expect(text).toContain('<title>2025-01-08 to 2025-01-14: 10</title>');
  expect(text).toContain('4 in all, at most 2 a week');
  expect(text).not.toContain('Reads a day');
});
