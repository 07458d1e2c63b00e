import type { CommandSpec } from '../command.ts';

export const auditReport: CommandSpec = {
  name: 'report',
  group: 'Audit',
  summary: 'what is wrong with how secrets are kept, and what is unusual about who reads them',
  description:
    'Looks at the stores that are in use here, or at those that are named, and at the audit log. Nothing is changed, ' +
    'and no value is read without --values.',
  args: [{ name: '[store...]', description: 'stores to look at' }],
  options: [
    {
      flags: '--values',
      description: 'read every value, to find weak, default and repeated ones (each read is recorded)',
    },
    { flags: '--trail', description: 'read the services’ own trails too, where a store has one' },
    {
      flags: '--since <when>',
      description: 'look at events since then: 30d, or a date such as 2026-11-01 (default 120d)',
    },
    {
      flags: '--format <form>',
      description: 'terminal, json, sarif, markdown or html (default terminal, json with --json)',
      choices: ['terminal', 'json', 'sarif', 'markdown', 'html'],
    },
    { flags: '--out <file>', description: 'write the report to this file' },
    {
      flags: '--fail-on <level>',
      description: 'exit with 8 when a new finding is as bad as this or worse',
      choices: ['critical', 'high', 'medium', 'low', 'info'],
    },
    { flags: '--baseline <file>', description: 'findings that are in this file are known, not new' },
    { flags: '--update-baseline', description: 'write what is found now to the baseline file' },
  ],
  examples: [
    { command: 'secrets audit report', does: 'the stores of this project' },
    {
      command: 'secrets audit report prod --values --trail',
      does: 'all that can be found out about one store',
    },
    {
      command: 'secrets audit report --fail-on high --baseline audit-baseline.json',
      does: 'in CI: fail on what is new',
    },
    {
      command: 'secrets audit report --format sarif --out report.sarif',
      does: 'for a code-scanning page',
    },
    {
      command: 'secrets audit report --format html --out report.html',
      does: 'one page for a browser, which needs no network',
    },
  ],
  completes: 'store',
  load: () => import('./report.ts'),
};
