/**
 * The report as SARIF 2.1.0, for code-scanning pages.
 * Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
 */
import type { Log, Notification, ReportingDescriptor, Result } from 'sarif';
import type { Finding, Severity } from '../core/findings/finding.ts';
import { RULES, type Rule } from '../core/findings/rules.ts';
import type { ReportData } from '../core/findings/report.ts';
import { jsonText, singleLine } from '../core/text/sanitize.ts';

const SCHEMA = 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json';
const LEVELS: Readonly<Record<Severity, Result.level>> = {
  critical: 'error',
  high: 'error',
  medium: 'warning',
  low: 'note',
  info: 'note',
};
/** Scores that code-scanning pages sort by: over 9 is critical, over 7 high, over 4 medium. */
const SCORES: Readonly<Record<Severity, string>> = {
  critical: '9.5',
  high: '8.0',
  medium: '5.0',
  low: '3.0',
  info: '1.0',
};
/**
 * Code-scanning pages require a location in a file, which a secret doesn't have. Findings are placed at the file that
 * configures the stores.
 */
const PLACE = 'secrets.yaml';

export function renderSarif(data: ReportData, version: string): string {
  const rules = Object.entries(RULES).map(([id, rule]) => descriptorOf(id, rule));
  const index = new Map(rules.map(({ id }, number) => [id, number]));
  const result = (finding: Finding): Result => ({
    ruleId: finding.rule,
    ruleIndex: index.get(finding.rule) ?? -1,
    level: LEVELS[finding.severity],
    message: { text: text(`${nameOf(finding)} ${finding.message}. ${finding.remedy}`) },
    locations: [
      {
        physicalLocation: { artifactLocation: { uri: PLACE }, region: { startLine: 1 } },
        logicalLocations: [{ fullyQualifiedName: nameOf(finding), kind: 'resource' }],
      },
    ],
    partialFingerprints: { 'secretsFinding/v1': finding.fingerprint },
    properties: {
      severity: finding.severity,
      'security-severity': SCORES[finding.severity],
      evidence: finding.evidence,
    },
  });
  const log: Log = {
    $schema: SCHEMA,
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: { name: 'secrets', semanticVersion: semantic(version), rules },
        },
        invocations: [
          {
            executionSuccessful: data.stores.every(({ errors }) => errors.length === 0),
            endTimeUtc: data.generatedAt,
            toolExecutionNotifications: notifications(data),
          },
        ],
        results: [
          ...data.findings.map((finding): Result => ({
            ...result(finding),
            baselineState: finding.status === 'new' ? 'new' : 'unchanged',
          })),
          ...data.suppressed.map((finding): Result => ({
            ...result(finding),
            suppressions: [
              {
                kind: 'external',
                status: 'accepted',
                justification: `${finding.reason} (until ${finding.until})`,
              },
            ],
          })),
        ],
        columnKind: 'utf16CodeUnits',
      },
    ],
  };
  return `${jsonText(log, 2)}\n`;
}

function descriptorOf(id: string, rule: Rule): ReportingDescriptor {
  return {
    id,
    name: rule.title.replaceAll(/[^A-Za-z]+(.)?/g, (_, next: string | undefined) =>
      (next ?? '').toUpperCase(),
    ),
    shortDescription: { text: text(rule.title) },
    fullDescription: { text: text(rule.about) },
    help: { text: text(rule.remedy) },
    defaultConfiguration: { level: LEVELS[rule.severity] },
    properties: { 'security-severity': SCORES[rule.severity], tags: ['security', rule.kind] },
  };
}

function notifications({ stores, notes, expiredSuppressions }: ReportData): Notification[] {
  return [
    ...stores.flatMap(({ errors }) =>
      errors.map(({ reference, message, hint }): Notification => ({
        level: 'error',
        message: {
          text: text(`${reference ?? ''}: ${message}${hint === undefined ? '' : `; ${hint}`}`),
        },
      })),
    ),
    ...expiredSuppressions.map(({ rule, secret, until }): Notification => ({
      level: 'warning',
      message: { text: text(`the suppression of ${rule} for ${secret} ended on ${until}`) },
    })),
    ...notes.map(({ store, message }): Notification => ({
      level: 'note',
      message: { text: text(`${store === undefined ? '' : `${store}: `}${message}`) },
    })),
  ];
}

function nameOf({ store, secret }: Finding): string {
  return `${store}://${secret ?? ''}`;
}

/** One line without links or placeholders (§3.11.5 and §3.11.6 of the specification). */
function text(plain: string): string {
  return singleLine(plain)
    .replaceAll(/[\\[\]]/g, '\\$&')
    .replaceAll(/[{}]/g, '$&$&');
}

/** A build from source has a version that isn't valid semver. */
function semantic(version: string): string {
  return /^\d+\.\d+\.\d+/.test(version) ? version : '0.0.0';
}
