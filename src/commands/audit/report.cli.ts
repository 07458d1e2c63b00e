import type { CommandSpec } from '../command.ts';

export const auditReport: CommandSpec = {
  name: 'report',
  group: 'Audit',
  summary: 'Report weaknesses and unusual accesses',
  description:
    'Examines the named stores, or all stores in use here, and the audit log. Changes nothing, and reads no value ' +
    'without --values.',
  args: [{ name: '[store...]', description: 'Stores to examine' }],
  options: [
    {
      flags: '--values',
      description: 'Read every value to find weak, default and repeated ones (each read is recorded)',
    },
    { flags: '--trail', description: 'Read the services’ own trails, in stores with one' },
    {
      flags: '--since <when>',
      description: 'Start of the period: an age such as 30d, or a date such as 2026-11-01 (default 120d)',
    },
    {
      flags: '--format <form>',
      description: 'Output format (default terminal, or json with --json)',
      choices: ['terminal', 'json', 'sarif', 'markdown', 'html'],
    },
    { flags: '--out <file>', description: 'Write the report to this file' },
    {
      flags: '--fail-on <level>',
      description: 'Exit with 8 on a new finding of this severity or worse',
      choices: ['critical', 'high', 'medium', 'low', 'info'],
    },
    { flags: '--baseline <file>', description: 'File of known findings' },
    { flags: '--update-baseline', description: 'Write the current findings to the baseline file' },
  ],
  examples: [
    { command: 'secrets audit report', does: 'Report on the stores of this project' },
    {
      command: 'secrets audit report prod --values --trail',
      does: 'Examine one store as thoroughly as possible',
    },
    {
      command: 'secrets audit report --fail-on high --baseline audit-baseline.json',
      does: 'Fail a CI job on new findings',
    },
    {
      command: 'secrets audit report --format sarif --out report.sarif',
      does: 'Write a report for code scanning',
    },
    {
      command: 'secrets audit report --format html --out report.html',
      does: 'Write one page for a browser that needs no network',
    },
  ],
  completes: 'store',
  load: () => import('./report.ts'),
};
