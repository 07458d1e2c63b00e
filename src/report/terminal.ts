/** The report for a terminal: a summary, then each finding, the worst first. */
import { Chalk, type ChalkInstance } from 'chalk';
import { SEVERITIES, type Severity } from '../core/findings/finding.ts';
import type { ReportData, ReportFinding } from '../core/findings/report.ts';
import { singleLine } from '../core/text/sanitize.ts';

export function renderTerminal(data: ReportData, colour: boolean): string {
  const style = new Chalk({ level: colour ? 1 : 0 });
  const lines = [...summary(data, style), ''];
  for (const finding of data.findings) lines.push(...findingLines(finding, style), '');
  if (data.suppressed.length > 0) {
    lines.push(style.bold('Suppressed'));
    for (const { rule, store, secret, reason, until } of data.suppressed)
      lines.push(`  ${clean(`${rule}  ${placeOf(store, secret)}: ${reason} (until ${until})`)}`);
    lines.push('');
  }
  for (const { rule, secret, until, findings } of data.expiredSuppressions)
    lines.push(
      `${style.yellow('Suppression over:')} ${clean(`${rule} of ${secret} ended on ${until}; ${plural(findings, 'finding')} of it`)}`,
    );
  const failed = data.stores.filter(({ errors }) => errors.length > 0);
  for (const { errors } of failed)
    for (const { reference, message, hint } of errors)
      lines.push(
        `${style.red('Not looked at:')} ${clean(`${reference ?? ''}: ${message}${hint === undefined ? '' : `; ${hint}`}`)}`,
      );
  if (data.notes.length > 0) {
    lines.push(style.bold('Not known'));
    for (const { store, message } of data.notes)
      lines.push(`  ${clean(`${store === undefined ? '' : `${store}: `}${message}`)}`);
  }
  while (lines.at(-1) === '') lines.pop();
  return `${lines.join('\n')}\n`;
}

function summary(data: ReportData, style: ChalkInstance): readonly string[] {
  const { findings, stores, access } = data;
  const known = findings.filter(({ status }) => status === 'known').length;
  const head = [
    plural(findings.length, 'finding'),
    ...SEVERITIES.filter((severity) => data.counts[severity] > 0).map((severity) =>
      paint(style, severity, `${data.counts[severity]} ${severity}`),
    ),
  ];
  const also = [
    ...(known > 0 ? [`${known} known, ${findings.length - known} new`] : []),
    ...(data.suppressed.length > 0 ? [`${data.suppressed.length} suppressed`] : []),
  ];
  const secrets = stores.reduce((sum, store) => sum + store.secrets, 0);
  const events =
    access.events === 0
      ? 'no events'
      : `${plural(access.events, 'event')} from ${day(access.first)} to ${day(access.last)}`;
  return [
    style.bold(`${head[0] ?? ''}${head.length > 1 ? ': ' : ''}`) +
      head.slice(1).join(', ') +
      (also.length > 0 ? ` (${also.join('; ')})` : ''),
    `${plural(secrets, 'secret')} in ${plural(stores.length, 'store')}, ${events}`,
  ];
}

function findingLines(finding: ReportFinding, style: ChalkInstance): readonly string[] {
  const { severity, rule, store, secret, message, remedy, status, at } = finding;
  const when = at === undefined ? '' : `  ${at.slice(0, 16).replace('T', ' ')}Z`;
  return [
    `${paint(style, severity, severity.toUpperCase().padEnd(8))} ${style.bold(rule)}  ${clean(placeOf(store, secret))}${when}${status === 'known' ? style.dim('  known') : ''}`,
    `         ${clean(message)}`,
    style.dim(`         ${clean(remedy)}`),
  ];
}

function placeOf(store: string, secret: string | undefined): string {
  return `${store}://${secret ?? ''}`;
}

function paint(style: ChalkInstance, severity: Severity, text: string): string {
  if (severity === 'critical') return style.bgRed.white(text);
  if (severity === 'high') return style.red(text);
  if (severity === 'medium') return style.yellow(text);
  return severity === 'low' ? style.cyan(text) : style.dim(text);
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function day(time: string | undefined): string {
  return time?.slice(0, 10) ?? '';
}

/** Foreign text on one line, without control sequences. */
const clean = singleLine;
