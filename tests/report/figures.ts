/** How good the detectors are on made-up trails: what of the planted they find, and what else they say. */
import { findAnomalies } from '../../src/core/findings/anomalies.ts';
import { EventTable } from '../../src/core/findings/events.ts';
import type { Finding } from '../../src/core/findings/finding.ts';
import { ANOMALIES, type AnomalyParameters } from '../../src/core/findings/parameters.ts';
import { type Plant, plantInto } from './plants.ts';
import { eventOf, makeTrail } from './trail.ts';

export interface Figures {
  /** By kind of plant. */
  readonly planted: Map<string, { planted: number; found: number }>;
  /** Findings that no planted access had a part in, by rule. */
  readonly wrong: Map<string, number>;
  normal: number;
  weeks: number;
  readonly examples: string[];
}

export function noFigures(): Figures {
  return { planted: new Map(), wrong: new Map(), normal: 0, weeks: 0, examples: [] };
}

/** Adds one seed's figures. */
export function measure(
  figures: Figures,
  seed: number,
  days = 180,
  each = 6,
  parameters: AnomalyParameters = ANOMALIES,
): Figures {
  const { trail, entries, plants, normal } = plantInto(makeTrail(seed, days), seed, each);
  const table = new EventTable();
  for (const entry of entries) table.add(eventOf(entry));
  const { honey } = trail.organisation;
  const { findings } = findAnomalies(table, parameters, (_store, secret) => honey.includes(secret));
  const right = new Set<Finding>();
  for (const plant of plants) {
    const hits = findings.filter((finding) => belongs(finding, plant));
    for (const hit of hits) right.add(hit);
    const count = figures.planted.get(plant.kind) ?? { planted: 0, found: 0 };
    count.planted += 1;
    // A rule's own kind has to be found by that rule; for what no rule is for, any will do.
    const wanted = hits.filter(({ rule }) => rule === plant.kind || !(plant.kind as string).includes('-'));
    if (wanted.length > 0) count.found += 1;
    else
      figures.examples.push(
        `seed ${seed}: missed ${plant.kind} ${plant.principal} ${new Date(plant.from).toISOString()}`,
      );
    figures.planted.set(plant.kind, count);
  }
  for (const finding of findings) {
    if (right.has(finding)) continue;
    figures.wrong.set(finding.rule, (figures.wrong.get(finding.rule) ?? 0) + 1);
    figures.examples.push(`seed ${seed}: wrong ${finding.rule} ${finding.at}: ${finding.message}`);
  }
  figures.normal += normal;
  figures.weeks += days / 7;
  return figures;
}

/** Whether it is about the planted accesses: the same principal, at that time. */
function belongs({ principal, at, evidence }: Finding, plant: Plant): boolean {
  const names = evidence['principals'];
  const same = principal === plant.principal || (Array.isArray(names) && names.includes(plant.principal));
  const time = Date.parse(at ?? '');
  const last = typeof evidence['last'] === 'string' ? Date.parse(evidence['last']) : time;
  return same && last >= plant.from && time <= plant.to;
}

/** The table of docs/audit-report.md. */
export function figuresTable({ planted, wrong, normal, weeks }: Figures, kinds: readonly string[]): string {
  const percent = (found: number, of: number): string =>
    of === 0 ? '' : `${((100 * found) / of).toFixed(1)} %`;
  const lines = ['| rule | planted | found | | false findings |', '| --- | ---: | ---: | ---: | ---: |'];
  let [all, hit] = [0, 0];
  for (const kind of kinds) {
    const { planted: count, found } = planted.get(kind) ?? { planted: 0, found: 0 };
    all += count;
    hit += found;
    lines.push(`| \`${kind}\` | ${count} | ${found} | ${percent(found, count)} | ${wrong.get(kind) ?? 0} |`);
  }
  const mistakes = [...wrong.values()].reduce((sum, count) => sum + count, 0);
  lines.push(`| **all** | ${all} | ${hit} | ${percent(hit, all)} | ${mistakes} |`);
  lines.push(
    '',
    `${normal} normal events over ${Math.round(weeks)} weeks: ${((mistakes / normal) * 10_000).toFixed(2)} false findings ` +
      `in 10,000 events, ${(mistakes / weeks).toFixed(2)} a week.`,
  );
  return lines.join('\n');
}
