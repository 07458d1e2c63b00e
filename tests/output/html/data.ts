/** Made-up reports for the page: a believable one, a large one, and ones in which every text is hostile. */
import { agesOf, summarise } from '../../../src/core/findings/access.ts';
import { findAnomalies } from '../../../src/core/findings/anomalies.ts';
import { EventTable } from '../../../src/core/findings/events.ts';
import type { Finding } from '../../../src/core/findings/finding.ts';
import { judgeFindings } from '../../../src/core/findings/gates.ts';
import { ANOMALIES } from '../../../src/core/findings/parameters.ts';
import type { ReportData } from '../../../src/core/findings/report.ts';
import { finding, type RuleId } from '../../../src/core/findings/rules.ts';
import { plantInto } from '../../report/plants.ts';
import { Random } from '../../report/random.ts';
import { eventOf, makeTrail } from '../../report/trail.ts';

const DAY_MS = 86_400_000;
const DAYS = 91;

/** The made-up organisation after a quarter, with a few things wrong. */
export function exampleReport(): ReportData {
  const trail = makeTrail(7, DAYS);
  const { entries } = plantInto(trail, 7, 1);
  const table = new EventTable();
  for (const entry of entries) {
    const event = eventOf(entry);
    table.add(entry.ms % 97 < 2 ? { ...event, action: 'write' } : event);
  }
  const { honey } = trail.organisation;
  const { findings: anomalies } = findAnomalies(table, ANOMALIES, (_store, secret) => honey.includes(secret));
  const now = new Date((trail.firstDay + DAYS) * DAY_MS - 1);
  const names = [...new Set(entries.map(({ secret }) => secret))];
  const random = new Random(7);
  const posture: Finding[] = [
    finding('default-value', { store: 'staging', secret: 'shop/admin' }, 'has a well-known default value', {
      kind: 'default',
    }),
    finding(
      'broad-access',
      { store: 'prod', secret: 'public/status-page' },
      'can be read by anybody: *, through the resource policy',
      { principal: '*', breadth: 'public', through: 'the resource policy', conditional: 'no' },
      { severity: 'critical' },
    ),
    finding(
      'same-value',
      { store: 'prod', secret: names[3] },
      `has the same value as staging://shop/db and 1 other`,
      { places: [`prod://${names[3]}`, 'staging://shop/db', 'staging://shop/db-old#password'] },
    ),
    finding(
      'overdue',
      { store: 'prod', secret: names[5] },
      'was to be rotated 12 days ago, on 2026-03-31: every 30 days',
      { overdueDays: 12, due: '2026-03-31', everyDays: 30 },
    ),
    ...names
      .slice(8, 14)
      .map((secret) =>
        finding(
          'never-rotated',
          { store: 'prod', secret },
          'still has its first value, which is 412 days old; 365 are allowed',
          { ageDays: 412, limitDays: 365, since: '2025-02-24' },
        ),
      ),
    finding(
      'too-many-versions',
      { store: 'staging', secret: 'shop/db' },
      'has 23 versions that can be read; 10 are allowed',
      { versions: 23, limit: 10 },
    ),
    finding(
      'never-read',
      { store: 'prod', secret: 'legacy/ftp' },
      'has never been read since it was made 240 days ago, says the service',
      { madeDaysAgo: 240, limitDays: 90, source: 'service' },
    ),
    finding(
      'no-reader',
      { store: 'staging', secret: 'legacy/ftp' },
      'has no reader in the 91 days of this log, which knows of reads through secrets by its own user alone',
      { observedDays: 91, limitDays: 90, source: 'log' },
      { severity: 'info' },
    ),
  ];
  const ages = Array.from({ length: 160 }, (_, n) =>
    n % 40 === 0 ? undefined : new Date(now.getTime() - random.between(0, 1) ** 2 * 900 * DAY_MS),
  );
  const all = [...posture, ...anomalies];
  return {
    v: 1,
    generatedAt: now.toISOString(),
    period: { since: new Date(now.getTime() - 90 * DAY_MS).toISOString(), until: now.toISOString() },
    stores: [
      { name: 'prod', provider: 'aws', secrets: 131, errors: [] },
      { name: 'staging', provider: 'vault', secrets: 29, errors: [] },
      {
        name: 'partners',
        provider: 'conjur',
        secrets: 0,
        errors: [
          {
            kind: 'Unavailable',
            message: 'the server did not answer',
            reference: 'partners://',
            hint: 'try again, or look at secrets doctor partners',
          },
        ],
      },
    ],
    ...judgeFindings(
      all,
      [
        {
          rule: 'too-many-versions',
          secret: 'staging://*/*',
          reason: 'the old ones go with the move in May',
          until: '2026-05-31',
        },
        { rule: 'never-read', secret: 'legacy/*', reason: 'waited for the audit', until: '2026-02-28' },
      ],
      new Set(posture.slice(4, 9).map(({ fingerprint }) => fingerprint)),
      'high',
      now,
    ),
    notes: [
      { rule: 'broad-access', store: 'partners', message: 'who may read is not known: conjur does not say' },
    ],
    values: true,
    trail: true,
    access: summarise(table),
    ages: agesOf(ages, now),
  };
}

const SOME: readonly RuleId[] = ['overdue', 'never-rotated', 'never-read', 'new-network', 'weak-value'];

/** So many findings, with texts of the usual length. */
export function largeReport(findings: number): ReportData {
  const all = Array.from({ length: findings }, (_, n) => {
    const secret = `team-${n % 50}/service-${n}/credential`;
    return finding(
      SOME[n % SOME.length] as RuleId,
      { store: `store-${n % 7}`, secret },
      'was to be rotated 12 days ago, on 2026-03-31: every 30 days',
      { overdueDays: n, due: '2026-03-31', everyDays: 30 },
    );
  });
  return {
    ...emptyReport(),
    ...judgeFindings(all, [], new Set(), undefined, new Date()),
  };
}

/** Nothing found, nothing seen. */
export function emptyReport(): ReportData {
  const now = '2026-11-24T12:00:00.000Z';
  return {
    v: 1,
    generatedAt: now,
    period: { since: '2026-08-26T12:00:00.000Z', until: now },
    stores: [{ name: 'local', provider: 'local', secrets: 0, errors: [] }],
    ...judgeFindings([], [], new Set(), undefined, new Date(now)),
    notes: [],
    values: false,
    trail: false,
    access: summarise(new EventTable()),
    ages: [],
  };
}

/** What is no foreign text: the report's own words and times. */
const OWN = new Set([
  'severity',
  'status',
  'generatedAt',
  'since',
  'until',
  'day',
  'first',
  'failOn',
  'fingerprint',
]);

/** The report with `text` in the place of every foreign text, keys of the evidence and origins included. */
export function planted(data: ReportData, text: string): ReportData {
  const replace = (value: unknown, key: string): unknown => {
    if (typeof value === 'string') return OWN.has(key) ? value : text;
    if (Array.isArray(value)) return value.map((entry) => replace(entry, key));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, entry], index) => [
        key === 'evidence' || key === 'origins' ? `${text}${index}` : name,
        replace(entry, name),
      ]),
    );
  };
  return replace(data, '') as ReportData;
}
