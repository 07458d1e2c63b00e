import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { baselineOf, judgeFindings, parseBaseline, type Suppression } from '../../src/core/findings/gates.ts';
import { fitsPathPattern } from '../../src/core/text/pattern.ts';
import { finding } from '../../src/core/findings/rules.ts';
import { ROOT } from '../e2e/program.ts';
import { tables } from './doc-tables.ts';
import { NOW } from './kit.ts';

const overdue = finding('overdue', { store: 'prod', secret: 'pay/db' }, 'm', { overdueDays: 5 });
const stale = finding('never-read', { store: 'prod', secret: 'web/key' }, 'm', {});
const wide = finding('broad-access', { store: 'prod' }, 'm', {}, { severity: 'critical', about: ['*'] });
const all = [stale, overdue, wide];

function judged(
  suppressions: readonly Suppression[],
  known: readonly string[] = [],
  failOn?: 'high' | 'low',
) {
  return judgeFindings(all, suppressions, new Set(known), failOn, NOW);
}

const entry = (rule: string, secret: string, until = '2026-12-31'): Suppression => ({
  rule,
  secret,
  reason: 'because',
  until,
});

test('findings are sorted and counted, and without a baseline new', () => {
  const { findings, counts, newCounts } = judged([]);
  expect(findings.map(({ rule, status }) => [rule, status])).toEqual([
    ['broad-access', 'new'],
    ['overdue', 'new'],
    ['never-read', 'new'],
  ]);
  expect(counts).toEqual({ critical: 1, high: 1, medium: 0, low: 1, info: 0 });
  expect(newCounts).toEqual(counts);
});

test.each([
  [entry('overdue', 'pay/db'), ['overdue']],
  [entry('overdue', 'prod://pay/*'), ['overdue']],
  [entry('*', '**'), ['broad-access', 'overdue', 'never-read']],
  [entry('*', 'prod://'), ['broad-access']],
  [entry('overdue', '*'), []],
  [entry('overdue', 'test://pay/db'), []],
  [entry('never-read', 'pay/db'), []],
  [entry('overdue', 'pay/db', '2026-11-24'), ['overdue']],
])('%j suppresses %j', (suppression, rules) => {
  const { suppressed, findings } = judged([suppression]);
  expect(suppressed.map(({ rule }) => rule)).toEqual(rules);
  expect(findings).toHaveLength(all.length - rules.length);
  for (const one of suppressed) expect(one).toMatchObject({ reason: 'because', until: suppression.until });
});

test('a suppression whose end is over suppresses nothing, and is said', () => {
  const { suppressed, findings, expiredSuppressions } = judged([entry('overdue', 'pay/db', '2026-11-23')]);
  expect(suppressed).toEqual([]);
  expect(findings).toHaveLength(3);
  expect(expiredSuppressions).toEqual([
    { rule: 'overdue', secret: 'pay/db', reason: 'because', until: '2026-11-23', findings: 1 },
  ]);
});

test.each([
  ['pay/*', 'pay/db', true],
  ['pay/*', 'pay/a/b', false],
  ['pay/**', 'pay/a/b', true],
  ['p?y', 'pay', true],
  ['a.b', 'axb', false],
  ['(a|b)[c]$', '(a|b)[c]$', true],
  ['a*', 'a', true],
  ['*', '', true],
  ['?', '', false],
  ['?', '/', false],
  ['*b*', 'abc', true],
  ['', 'a', false],
])('the glob %s and %s: %s', (glob, name, fits) => {
  expect(fitsPathPattern(glob, name)).toBe(fits);
});

test('no glob takes for ever', () => {
  const started = process.cpuUsage();
  expect(fitsPathPattern(`${'**a'.repeat(600)}b`, 'a'.repeat(2000))).toBe(false);
  expect(fitsPathPattern('*'.repeat(2000), 'a'.repeat(2000))).toBe(true);
  expect(process.cpuUsage(started).user).toBeLessThan(10_000_000);
});

test('the gate counts what is new at its level or worse', () => {
  expect(judged([]).gate).toBeUndefined();
  expect(judged([], [], 'high').gate).toEqual({ failOn: 'high', failing: 2 });
  expect(judged([], [overdue.fingerprint], 'high').gate).toEqual({ failOn: 'high', failing: 1 });
  expect(judged([entry('*', '**')], [], 'low').gate).toEqual({ failOn: 'low', failing: 0 });
});

test('a baseline is what is found, sorted, and read again', () => {
  const baseline = baselineOf([...all, overdue]);
  expect(baseline.findings.map(({ rule }) => rule)).toEqual(['broad-access', 'overdue', 'never-read']);
  const known = parseBaseline(JSON.stringify(baseline), 'b.json');
  expect([...known].toSorted()).toEqual(all.map(({ fingerprint }) => fingerprint).toSorted());
});

test.each([
  '',
  '{',
  '[]',
  '{"version":2,"findings":[]}',
  '{"version":1,"findings":[{"fingerprint":"x"}]}',
  '{"version":1,"findings":[null]}',
])('%j is no baseline', (text) => {
  expect(() => parseBaseline(text, 'b.json')).toThrow('b.json is not a baseline');
});

test('the documentation has the rules and parameters as they are', () => {
  const page = readFileSync(join(ROOT, 'docs/audit-report.md'), 'utf8');
  for (const [name, table] of tables)
    expect(page).toContain(`<!-- ${name} -->\n\n${table}\n\n<!-- /${name} -->`);
});
