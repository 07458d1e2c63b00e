/** Facts and events for tests of the report's rules. */
import { ANOMALIES, type AnomalyParameters, POSTURE } from '../../src/core/findings/parameters.ts';
import { findAnomalies } from '../../src/core/findings/anomalies.ts';
import { EventTable } from '../../src/core/findings/events.ts';
import type { Finding } from '../../src/core/findings/finding.ts';
import { type Coverage, judgeSecret, type SecretFacts } from '../../src/core/findings/posture.ts';
import type { AuditEvent } from '../../src/core/audit/record.ts';
import type { VersionInfo } from '../../src/core/secret.ts';

export const NOW = new Date('2026-11-24T12:00:00.000Z');
const DAY_MS = 86_400_000;

export function daysAgo(days: number): Date {
  return new Date(NOW.getTime() - days * DAY_MS);
}

export function version(id: string, daysOld: number, more: Partial<VersionInfo> = {}): VersionInfo {
  return { id, state: 'enabled', stages: [], createdAt: daysAgo(daysOld), ...more };
}

/** A secret that nothing is wrong with. */
export function facts(more: Partial<SecretFacts> = {}, info: Partial<SecretFacts['info']> = {}): SecretFacts {
  return {
    store: 'prod',
    info: { name: 'pay/db', createdAt: daysAgo(300), labels: {}, ...info },
    versions: [version('2', 20, { stages: ['current'] }), version('1', 300, { stages: ['previous'] })],
    grants: [],
    lastSeenRead: daysAgo(1),
    ...more,
  };
}

/** Rules that find something, and what. */
export function judged(
  secret: SecretFacts,
  coverage: Coverage = { from: daysAgo(400), trail: true },
): readonly Finding[] {
  return judgeSecret(secret, coverage, POSTURE, NOW);
}

export interface Read {
  /** Days since the trail's first day, with a fraction for the time of day. */
  readonly day: number;
  readonly who: string;
  readonly secret: string;
  readonly address?: string;
  readonly outcome?: AuditEvent['outcome'];
  readonly action?: AuditEvent['action'];
}

/** Midnight of a Monday. */
export const START = Date.UTC(2026, 5, 1);

export function eventOf({
  day,
  who,
  secret,
  address = '198.51.100.7',
  outcome = 'allowed',
  action = 'read',
}: Read): AuditEvent {
  return {
    time: new Date(Math.round(START + day * DAY_MS)).toISOString(),
    origin: 'cloudtrail',
    action,
    outcome,
    actor: { principal: who },
    store: 'prod',
    secret,
    address,
  };
}

export function anomaliesIn(
  reads: readonly Read[],
  parameters: Partial<AnomalyParameters> = {},
  honey: readonly string[] = [],
): ReturnType<typeof findAnomalies> {
  const table = new EventTable();
  for (const read of reads) table.add(eventOf(read));
  return findAnomalies(table, { ...ANOMALIES, ...parameters }, (_store, secret) => honey.includes(secret));
}

/**
 * Two teams and a job, for so many days: ann, ben and cat read the three secrets of pay between 8 and 16 h UTC, dan and
 * eve those of web; the job reads its own at 2 h.
 */
export function normalLife(days = 40): readonly Read[] {
  const reads: Read[] = [];
  const teams = [
    { people: ['ann', 'ben', 'cat'], secrets: ['pay/a', 'pay/b', 'pay/c'], address: '198.51.100.7' },
    { people: ['dan', 'eve'], secrets: ['web/a', 'web/b', 'web/c'], address: '203.0.113.9' },
  ];
  for (let day = 0; day < days; day += 1) {
    if (day % 7 < 5)
      for (const { people, secrets, address } of teams)
        for (const [n, who] of people.entries())
          for (let hour = 8; hour <= 16; hour += 2)
            reads.push({
              day: day + (hour + n / 4) / 24,
              who,
              secret: secrets[(hour / 2 + n + day) % secrets.length] as string,
              address,
            });
    reads.push({ day: day + 2 / 24, who: 'job', secret: 'job/key', address: '52.10.1.4' });
  }
  return reads;
}
