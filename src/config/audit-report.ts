/**
 * `audit.report` and `audit.suppress` of a secrets.yaml: the thresholds of `secrets audit report`, and the findings
 * to leave out.
 */
import * as v from 'valibot';
import { RULES } from '../core/findings/rules.ts';
import { nearest } from '../core/reference/nearest.ts';
import type { TrustItem } from '../core/trust.ts';
import { period } from './period.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000_000));
const number = v.pipe(v.number(), v.minValue(1), v.maxValue(1_000_000));
const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
const setting = <S extends v.GenericSchema>(schema: S, description: string) =>
  v.pipe(v.optional(schema), v.description(description));

const reportSchema = v.strictObject({
  'never-rotated-after': setting(period, 'maximum age of a first value; default 180d'),
  'expiring-within': setting(period, 'how long before expiry to report; default 30d'),
  'unused-after': setting(period, 'maximum time without a read; default 90d'),
  'max-versions': setting(count, 'maximum number of readable versions; default 10'),
  'weak-below': setting(
    v.pipe(v.number(), v.minValue(1), v.maxValue(30)),
    'decimal logarithm of the guesses below which a value is weak; default 10',
  ),
  learn: setting(period, 'time during which a new secret or principal is only observed; default 14d'),
  'min-reads': setting(count, 'reads required to judge a secret or principal; default 10'),
  'min-days': setting(count, 'active days required for the pattern of a principal; default 10'),
  'broad-share': setting(share, 'share of all principals above which a secret counts as common; default 0.2'),
  'company-share': setting(
    share,
    'share of a secret’s readers that must share another secret with a new reader; default 0.1',
  ),
  'travel-rate': setting(share, 'new networks per active day that identify a traveller; default 0.025'),
  'hour-gap': setting(
    v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(12)),
    'hours between a read and the nearest usual hour; default 4',
  ),
  'rate-factor': setting(number, 'multiple of the busiest hour so far; default 3'),
  'rate-min': setting(count, 'reads per hour below which nothing is reported; default 60'),
  burst: setting(period, 'duration of a burst of denials or bulk reads; default 10m'),
  'denial-secrets': setting(count, 'secrets denied within a burst; default 6'),
  'bulk-secrets': setting(count, 'different secrets read within a burst; default 20'),
  'bulk-factor': setting(number, 'multiple of the largest number read at once so far; default 3'),
});

const suppressionSchema = v.strictObject({
  rule: v.pipe(v.string(), v.nonEmpty(), v.description('id of a rule, or * for all rules')),
  secret: v.pipe(
    v.string(),
    v.nonEmpty(),
    v.description('name, or store://name; * is anything but a slash, ** anything'),
  ),
  reason: v.pipe(v.string(), v.regex(/\S/, 'a reason'), v.description('reason for accepting the finding')),
  until: v.pipe(
    v.string(),
    v.regex(/^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/, 'a date such as 2027-01-31'),
    v.description('last day of the suppression, at most a year ahead'),
  ),
});

/** Entries of the `audit:` section. */
export const auditReportEntries = {
  report: v.pipe(v.optional(reportSchema), v.description('parameters of secrets audit report')),
  suppress: v.pipe(
    v.optional(v.array(suppressionSchema)),
    v.description('findings that are accepted for a limited time, each with a reason and an end'),
  ),
};

export type ReportSettings = v.InferOutput<typeof reportSchema>;
export type SuppressionSettings = v.InferOutput<typeof suppressionSchema>;

/** The longest suppression: a year, including leap years. */
const MOST_DAYS = 366;
const DAY_MS = 86_400_000;

/** What is wrong with a suppression beyond its format, and where. */
export interface WrongSuppression {
  readonly keys: readonly string[];
  readonly message: string;
  readonly hint: string;
}

/** The first suppression that names an unknown rule, and so would silently do nothing, or that ends too late. */
export function wrongSuppression(
  suppress: readonly SuppressionSettings[],
  now: Date,
): WrongSuppression | undefined {
  const known = Object.keys(RULES);
  const last = new Date(now.getTime() + MOST_DAYS * DAY_MS).toISOString().slice(0, 10);
  for (const [index, { rule, until }] of suppress.entries()) {
    if (rule !== '*' && !known.includes(rule)) {
      const near = nearest(rule, known);
      return {
        keys: [String(index), 'rule'],
        message: `no rule ${rule.slice(0, 80)}`,
        hint: near === undefined ? `the rules are ${known.join(', ')}` : `did you mean ${near}?`,
      };
    }
    if (until > last)
      return {
        keys: [String(index), 'until'],
        message: 'a suppression ends within a year',
        hint: `use a date up to ${last}, and review the finding then`,
      };
  }
  return undefined;
}

/**
 * The trust that these settings need in a found secrets.yaml: both could hide problems from the user, even in the
 * user's own stores.
 */
export function reportTrustItems(
  report: ReportSettings,
  suppress: readonly SuppressionSettings[],
): readonly TrustItem[] {
  return [
    ...Object.entries(report).map(([name, given]) => ({
      setting: `report.${name}`,
      value: String(given),
      effect: 'the audit report measures by other limits',
    })),
    ...suppress.map(({ rule, secret, until }, index) => ({
      setting: `suppress.${index}`,
      value: `${rule} of ${secret} until ${until}`,
      effect: 'findings of the audit report are left out',
    })),
  ];
}
