/** The tables of docs/audit-report.md that are made from the code. */
import type * as v from 'valibot';
import { auditReportEntries } from '../../src/config/audit-report.ts';
import { RULES } from '../../src/core/findings/rules.ts';

function rules(kind: string): string {
  const rows = Object.entries(RULES)
    .filter(([, rule]) => rule.kind === kind)
    .map(([id, { severity, about, remedy }]) => `| \`${id}\` | ${severity} | ${about} | ${remedy} |`);
  return ['| id | level | reported when | what to do |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

interface Described {
  readonly pipe: readonly { readonly type: string; readonly description?: string }[];
}

function parameters(): string {
  const report = auditReportEntries.report.pipe[0].wrapped as v.StrictObjectSchema<
    v.ObjectEntries,
    undefined
  >;
  const rows = Object.entries(report.entries).map(([key, schema]) => {
    const { pipe } = schema as unknown as Described;
    const description = pipe.find(({ type }) => type === 'description')?.description ?? '';
    const [, means, fallback] = /^(.*); default (.*)$/.exec(description) ?? ['', description, ''];
    return `| \`${key}\` | ${fallback} | ${means} |`;
  });
  return ['| key | default | means |', '| --- | --- | --- |', ...rows].join('\n');
}

export const tables: readonly (readonly [name: string, table: string])[] = [
  ['posture', rules('posture')],
  ['anomalies', rules('anomaly')],
  ['parameters', parameters()],
];
