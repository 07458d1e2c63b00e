/** The report as JSON: the data itself. schemas/output/audit-report.schema.json describes it. */
import type { ReportData } from '../core/findings/report.ts';
import { jsonText } from '../core/text/sanitize.ts';

export function renderJson(data: ReportData): string {
  return `${jsonText(data, 2)}\n`;
}
