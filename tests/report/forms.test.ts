// Its matcher checks against the JSON schema of SARIF 2.1.0.
import '@microsoft/jest-sarif';
import { render } from '../../src/report/forms.ts';
import { agesOf, summarise } from '../../src/core/findings/access.ts';
import { EventTable } from '../../src/core/findings/events.ts';
import { judgeFindings } from '../../src/core/findings/gates.ts';
import type { ReportData } from '../../src/core/findings/report.ts';
import { finding } from '../../src/core/findings/rules.ts';
import { UNSAFE } from '../e2e/program.ts';
import { daysAgo, eventOf, NOW } from './kit.ts';

const NASTY =
  'a\u001b[31m|b<img src=x onerror=alert(1)>`c`*d*_e_[f](javascript:g)\u202eh\u0007{0}@team https://i.example www.j.example #1\nk';

function reportOn(name: string): ReportData {
  const table = new EventTable();
  table.add(eventOf({ day: 1.25, who: name, secret: name }));
  table.add(eventOf({ day: 1.5, who: name, secret: name, outcome: 'denied' }));
  const findings = [
    finding('overdue', { store: 'prod', secret: name }, `was due: ${name}`, { name }),
    finding(
      'honey-read',
      { store: 'prod', secret: name },
      `${name} read it`,
      { accesses: 2 },
      { principal: name, at: NOW.toISOString() },
    ),
    finding('never-read', { store: 'prod' }, `of ${name}`, {}),
  ];
  const [known] = findings;
  return {
    v: 1,
    generatedAt: NOW.toISOString(),
    period: { since: daysAgo(90).toISOString(), until: NOW.toISOString() },
    stores: [
      { name: 'prod', provider: 'aws', secrets: 1, errors: [] },
      {
        name: 'test',
        provider: 'vault',
        secrets: 0,
        errors: [{ kind: 'Unavailable', message: name, reference: name, hint: name }],
      },
    ],
    ...judgeFindings(
      findings,
      [
        { rule: 'never-read', secret: 'prod://', reason: name, until: '2027-01-01' },
        { rule: 'overdue', secret: name, reason: name, until: '2020-01-01' },
      ],
      new Set([known?.fingerprint ?? '']),
      undefined,
      NOW,
    ),
    notes: [{ store: 'prod', message: name }, { message: name }],
    values: false,
    trail: true,
    access: summarise(table),
    ages: agesOf([daysAgo(3), daysAgo(400), undefined], NOW),
  };
}

const nasty = reportOn(NASTY);

test.each(['terminal', 'markdown', 'sarif', 'json', 'html'] as const)(
  '%s holds nothing that steers a terminal',
  async (format) => {
    const text = await render(format, nasty, { colour: false, version: '1.2.3' });
    expect(UNSAFE.exec(text)).toBeNull();
    expect(text.endsWith('\n')).toBe(true);
  },
);

describe('terminal', () => {
  test('counts first, then the worst', async () => {
    const text = await render('terminal', reportOn('pay/db'), { colour: false, version: '' });
    const lines = text.split('\n');
    expect(lines[0]).toBe('2 findings: 1 critical, 1 high (1 known, 1 new; 1 suppressed)');
    expect(lines[1]).toBe('1 secret in 2 stores, 2 events from 2026-06-02 to 2026-06-02');
    expect(text.indexOf('CRITICAL honey-read  prod://pay/db')).toBeLessThan(text.indexOf('HIGH     overdue'));
    expect(text).toContain('Suppression over: overdue of pay/db ended on 2020-01-01');
    expect(text).toContain('Not looked at: pay/db: pay/db');
  });
  test('in colour the program’s own sequences are the only ones', async () => {
    const text = await render('terminal', nasty, { colour: true, version: '' });
    // The red of the name is not in it; that of its own level is.
    expect(text.replaceAll(/\u001b\[(?:1|2|22|31|33|36|37|39|41|49)m/g, '')).not.toMatch(/\u001b/);
    expect(text).toContain('a\\u001b[31m|b');
    expect(text).toContain('\u001b[31mHIGH');
  });
});

describe('sarif', () => {
  interface Run {
    readonly results: readonly {
      readonly ruleId: string;
      readonly level: string;
      readonly baselineState?: string;
      readonly suppressions?: readonly { readonly justification: string }[];
      readonly message: { readonly text: string };
      readonly partialFingerprints: Readonly<Record<string, string>>;
    }[];
    readonly invocations: readonly { readonly executionSuccessful: boolean }[];
    readonly tool: { readonly driver: { readonly rules: readonly { readonly id: string }[] } };
  }
  const parsed = async (data: ReportData): Promise<{ readonly runs: readonly [Run] }> =>
    JSON.parse(await render('sarif', data, { colour: false, version: '1.2.3' })) as {
      readonly runs: readonly [Run];
    };

  test.each([
    ['plain names', reportOn('pay/db')],
    ['hostile names', nasty],
    ['nothing found', { ...reportOn('x'), findings: [], suppressed: [], notes: [], stores: [] }],
  ])('of %s is valid by the schema', async (_, data) => {
    expect(await parsed(data)).toBeValidSarifLog();
  });
  test('what the schema refuses is refused', () => {
    expect(() => expect({ version: '2.1.0', runs: [{}] }).toBeValidSarifLog()).toThrow('tool');
  });
  test('says level, baseline, suppression, fingerprint, and that a store failed', async () => {
    const data = reportOn('pay/db');
    const [{ results, invocations, tool }] = (await parsed(data)).runs;
    expect(results.map(({ ruleId, level, baselineState }) => [ruleId, level, baselineState])).toEqual([
      ['honey-read', 'error', 'new'],
      ['overdue', 'error', 'unchanged'],
      ['never-read', 'note', undefined],
    ]);
    expect(results[2]?.suppressions).toEqual([
      expect.objectContaining({ justification: 'pay/db (until 2027-01-01)' }),
    ]);
    expect(results[0]?.partialFingerprints).toEqual({ 'secretsFinding/v1': data.findings[0]?.fingerprint });
    expect(invocations[0]?.executionSuccessful).toBe(false);
    for (const { ruleId } of results) expect(tool.driver.rules.map(({ id }) => id)).toContain(ruleId);
  });
  test('a name is no link and no placeholder', async () => {
    const [{ results }] = (await parsed(nasty)).runs;
    expect(results[0]?.message.text).toContain('\\[f\\](javascript:g)');
    expect(results[0]?.message.text).toContain('{{0}}');
  });
});

describe('markdown', () => {
  test('a name can’t leave its cell, nor be markup', async () => {
    const text = await render('markdown', nasty, { colour: false, version: '' });
    for (const line of text.split('\n').filter((row) => /^\| (critical|high) \| `/.test(row))) {
      // Out of code and escapes nothing is left that begins markup.
      const cells = line
        .replaceAll('\\|', '')
        .replaceAll(/(`+)(?:(?!\1).|\1`)*?[^`]\1(?!`)/g, 'CODE')
        .replaceAll(/\\[\\`*_{}[\]#!|~$@:.]/g, '');
      expect(cells.match(/\|/g)).toHaveLength(6);
      expect(cells).not.toMatch(/[<>`*_[\]@#]|https:\/\/|www\./);
    }
    expect(text).not.toMatch(/^k/m);
  });
  test.each([1, 2, 3])('nor by %s backslashes before a bar', async (count) => {
    const name = `x${'\\'.repeat(count)}| [a](https://e.example) \``;
    const text = await render('markdown', reportOn(name), { colour: false, version: '' });
    // As GFM splits rows: a backslash takes the next character along, in code as well.
    const rows = text.split('\n').filter((row) => /^\| ((critical|high) \| `|`+ ?x)/.test(row));
    expect(rows.length).toBeGreaterThan(2);
    const cellsOf = (row: string): number => row.replaceAll(/\\./g, '').split('|').length;
    expect(new Set(rows.map(cellsOf))).toEqual(new Set([7]));
  });
  test('has a table of the findings and of the readers', async () => {
    const text = await render('markdown', reportOn('pay/db'), { colour: false, version: '' });
    expect(text).toContain('| critical | `honey-read` | `prod://pay/db` | pay/db read it |');
    expect(text).toContain('| high | `overdue` (known) |');
    expect(text).toContain('| `pay/db` | 1 | 1 | 1 | 2026-06-02T12:00 |');
  });
});

test('accesses are summed by day, hour, reader and secret', () => {
  const { access } = reportOn('pay/db');
  expect(access).toMatchObject({
    events: 2,
    origins: { cloudtrail: 2 },
    first: '2026-06-02T06:00:00.000Z',
    days: [{ day: '2026-06-02', reads: 1, denied: 1, failed: 0, other: 0 }],
    readers: [{ principal: 'pay/db', reads: 1, denied: 1, secrets: 1 }],
    principals: 1,
    secrets: [{ store: 'prod', secret: 'pay/db', reads: 1, readers: 1 }],
  });
  // A Tuesday at six.
  expect(access.hours[1]?.[6]).toBe(1);
  expect(access.hours.flat().reduce((sum, count) => sum + count, 0)).toBe(1);
});

test('ages fall into one bucket each', () => {
  const { ages } = nasty;
  expect(ages.filter(({ secrets }) => secrets > 0).map(({ label }) => label)).toEqual([
    'under 7 days',
    '1 to 2 years',
    'not known',
  ]);
  const edges = agesOf([0, 7, 30, 90, 180, 365, 730].map(daysAgo), NOW);
  expect(edges.map(({ secrets }) => secrets)).toEqual([1, 1, 1, 1, 1, 1, 1]);
});
