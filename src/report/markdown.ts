/** The report as Markdown, for a comment or a page. Foreign text is escaped so that it can't become markup. */
import { SEVERITIES } from '../core/findings/finding.ts';
import type { ReportData } from '../core/findings/report.ts';
import { singleLine } from '../core/text/sanitize.ts';

export function renderMarkdown(data: ReportData): string {
  const lines = [
    ...summary(data),
    ...findingsPart(data),
    ...suppressedPart(data),
    ...unknownPart(data),
    ...readersPart(data),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

function summary({ generatedAt, period, findings, counts, newCounts, stores, access }: ReportData): string[] {
  const known = findings.filter(({ status }) => status === 'known').length;
  const secrets = stores.reduce((sum, store) => sum + store.secrets, 0);
  return [
    '# Audit report',
    '',
    `${generatedAt.slice(0, 16).replace('T', ' ')}Z, ${secrets} secrets in ${stores.length} stores, ${access.events} events since ${period.since.slice(0, 10)}.`,
    '',
    '| severity | findings | new |',
    '| --- | ---: | ---: |',
    ...SEVERITIES.map((severity) => `| ${severity} | ${counts[severity]} | ${newCounts[severity]} |`),
    '',
    ...(known > 0 ? [`${known} of them are in the baseline.`, ''] : []),
  ];
}

function findingsPart({ findings }: ReportData): string[] {
  if (findings.length === 0) return [];
  return [
    '## Findings',
    '',
    '| severity | rule | where | what | what to do |',
    '| --- | --- | --- | --- | --- |',
    ...findings.map(({ severity, rule, store, secret, message, remedy, status }) =>
      row(
        severity,
        `\`${rule}\`${status === 'known' ? ' (known)' : ''}`,
        code(`${store}://${secret ?? ''}`),
        plain(message),
        plain(remedy),
      ),
    ),
    '',
  ];
}

function suppressedPart({ suppressed }: ReportData): string[] {
  if (suppressed.length === 0) return [];
  return [
    '## Suppressed',
    '',
    '| rule | where | reason | until |',
    '| --- | --- | --- | --- |',
    ...suppressed.map(({ rule, store, secret, reason, until }) =>
      row(`\`${rule}\``, code(`${store}://${secret ?? ''}`), plain(reason), until),
    ),
    '',
  ];
}

function unknownPart({ stores, expiredSuppressions, notes }: ReportData): string[] {
  const failed = stores.flatMap(({ errors }) => errors);
  if (failed.length === 0 && expiredSuppressions.length === 0 && notes.length === 0) return [];
  return [
    '## Not known',
    '',
    ...failed.map(
      ({ reference, message }) => `- could not be looked at: ${code(reference ?? '')}: ${plain(message)}`,
    ),
    ...expiredSuppressions.map(
      ({ rule, secret, until }) =>
        `- the suppression of \`${plain(rule)}\` for ${code(secret)} ended on ${until}`,
    ),
    ...notes.map(
      ({ store, message }) => `- ${store === undefined ? '' : `${code(store)}: `}${plain(message)}`,
    ),
    '',
  ];
}

function readersPart({ access: { readers } }: ReportData): string[] {
  if (readers.length === 0) return [];
  return [
    '## Top readers',
    '',
    '| principal | reads | secrets | denied | last |',
    '| --- | ---: | ---: | ---: | --- |',
    ...readers.map(({ principal, reads, secrets, denied, last }) =>
      row(code(principal), String(reads), String(secrets), String(denied), last.slice(0, 16)),
    ),
    '',
  ];
}

function row(...cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** Escapes markup within a line or at its start (CommonMark 2.4), and what GitHub would turn into links. */
function plain(text: string): string {
  return singleLine(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll(/[\\`*_{}[\]#!|~$@]|:(?=\/\/)|^[-+=]/g, '\\$&')
    .replace(/^(\d+)([.)])/, '$1\\$2')
    .replaceAll(/\bwww\./gi, (found) => `${found.slice(0, -1)}\\.`);
}

/**
 * A name as inline code, fenced with more backticks than it contains. A bar would end the table cell, and so would
 * one after an escaped backslash: backslashes before a bar are written as \u escapes, like other misleading
 * characters.
 */
function code(text: string): string {
  const clean = singleLine(text).replaceAll(/\\+(?=\|)/g, (run) => String.raw`\u005c`.repeat(run.length));
  if (clean === '') return '';
  const longest = Math.max(0, ...[...clean.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  const pad = clean.startsWith('`') || clean.endsWith('`') ? ' ' : '';
  return `${fence}${pad}${clean.replaceAll('|', '\\|')}${pad}${fence}`;
}
