/** The `audit:` section of a secrets.yaml. */
import * as v from 'valibot';
import { auditReportEntries } from './audit-report.ts';

export const auditSchema = v.strictObject({ ...auditReportEntries });
