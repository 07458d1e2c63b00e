/** Builds a report: collects the data, judges it, and assembles the parts. */
import type { Config } from '../config/config.ts';
import { agesOf, summarise } from '../core/findings/access.ts';
import { findAnomalies } from '../core/findings/anomalies.ts';
import type { EventTable } from '../core/findings/events.ts';
import type { Finding, Severity } from '../core/findings/finding.ts';
import { judgeFindings } from '../core/findings/gates.ts';
import {
  type Coverage,
  judgeSecret,
  judgeSharedGrants,
  type SecretFacts,
  valueDate,
} from '../core/findings/posture.ts';
import type { PostureParameters } from '../core/findings/parameters.ts';
import type { ReportData, ReportNote } from '../core/findings/report.ts';
import type { AuditEvent } from '../core/audit/record.ts';
import type { Session } from '../session/session.ts';
import { collect } from './collect.ts';
import { Failures } from './failures.ts';
import { readEvents } from './read-events.ts';
import { isHoney, readValues } from './read-values.ts';
import { anomalyParameters, postureParameters } from './settings.ts';

const DAY_MS = 86_400_000;

export interface ReportWanted {
  readonly stores: readonly string[];
  readonly since: Date;
  /** Events from our own log within the period. */
  readonly own: AsyncIterable<AuditEvent>;
  readonly values: boolean;
  readonly trail: boolean;
  readonly failOn: Severity | undefined;
  /** Fingerprints of the baseline. */
  readonly known: ReadonlySet<string>;
  readonly progress: (text: string) => void;
}

export async function buildReport(
  session: Session,
  { stores: names, since, own, values, trail, failOn, known, progress }: ReportWanted,
): Promise<ReportData> {
  const config = await session.config();
  const posture = postureParameters(config.report);
  const now = session.world.now();
  const notes: ReportNote[] = [];
  const failures = new Failures();
  const note = (one: ReportNote): void => void notes.push(one);
  const fail = failures.add.bind(failures);
  const { stores, secrets: collected, notes: gathered } = await collect(session, names, progress);
  notes.push(...gathered);
  const { table, coverage } = await readEvents(
    session,
    { stores: names, period: { since, until: now }, own, trail },
    { note, fail, progress },
  );
  const secrets = withReads(collected, table);
  const findings: Finding[] = [
    ...secrets.flatMap((facts) => judgeSecret(facts, coverage(facts.store), posture, now)),
    ...judgeSharedGrants(secrets),
  ];
  notes.push(...readerNotes(secrets, names, coverage, posture, now));
  if (values) {
    const rules = await readValues(session, secrets, posture.weakBelow, note, fail, progress);
    findings.push(...rules.findings());
  } else {
    note({ message: 'values were not read: same-value, weak-value and default-value need --values' });
  }
  const anomalies = anomaliesIn(table, secrets, config, trail);
  findings.push(...anomalies.findings);
  notes.push(...anomalies.notes);
  return {
    v: 1,
    generatedAt: now.toISOString(),
    period: { since: since.toISOString(), until: now.toISOString() },
    stores: stores.map((store) => ({
      ...store,
      errors: [...store.errors, ...failures.of(store.name)],
    })),
    ...judgeFindings(findings, config.suppress, known, failOn, now),
    notes,
    values,
    trail,
    access: summarise(table),
    ages: agesOf(secrets.map(valueDate), now),
  };
}

function anomaliesIn(
  table: EventTable,
  secrets: readonly SecretFacts[],
  config: Config,
  trail: boolean,
): { readonly findings: readonly Finding[]; readonly notes: readonly ReportNote[] } {
  const honey = new Set(
    secrets.filter(({ info }) => isHoney(info.labels)).map(({ store, info }) => `${store}\n${info.name}`),
  );
  const { findings, notes } = findAnomalies(table, anomalyParameters(config.report), (store, secret) =>
    honey.has(`${store}\n${secret}`),
  );
  const none = {
    message: `there are no events to find anomalies in${trail ? '' : '; --trail reads the services’ own trails'}`,
  };
  return {
    findings,
    notes: [...notes.map((message) => ({ message })), ...(table.length === 0 ? [none] : [])],
  };
}

/** Adds to each secret when it was last read, as far as the events show. */
function withReads(secrets: readonly SecretFacts[], table: EventTable): readonly SecretFacts[] {
  const last = new Map<number, number>();
  for (const { secret, read, outcome, ms } of table.byTime())
    if (read && outcome === 'allowed' && secret !== -1) last.set(secret, ms);
  return secrets.map((facts) => {
    const ms = last.get(table.secretOf(facts.store, facts.info.name));
    return ms === undefined ? facts : { ...facts, lastSeenRead: new Date(ms) };
  });
}

/** Notes for stores whose events cover too short a time to call a secret unread. */
function readerNotes(
  secrets: readonly SecretFacts[],
  stores: readonly string[],
  coverage: (store: string) => Coverage,
  { unusedAfterMs }: PostureParameters,
  now: Date,
): readonly ReportNote[] {
  return stores.flatMap((store): ReportNote[] => {
    const asked = secrets.some((facts) => facts.store === store && facts.info.lastReadAt === undefined);
    const { from } = coverage(store);
    if (!asked || (from !== undefined && now.getTime() - from.getTime() >= unusedAfterMs)) return [];
    const wanted = Math.floor(unusedAfterMs / DAY_MS);
    const message =
      from === undefined
        ? 'never-read and no-reader are not known: there is no log or trail of it'
        : `never-read and no-reader are not known: its events begin on ${from.toISOString().slice(0, 10)}, and ${wanted} days are needed`;
    return [{ rule: 'no-reader', store, message }];
  });
}
