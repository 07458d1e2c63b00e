import { isAbsolute, join } from 'node:path';
import { type Format, render } from '../../report/forms.ts';
import { readBaseline, writeBaseline, writeReport } from '../../report/output-files.ts';
import { storesInUse } from '../../report/collect.ts';
import { buildReport } from '../../report/build.ts';
import { readAuditLog } from '../../audit/log/read.ts';
import type { Severity } from '../../core/findings/finding.ts';
import type { ReportData } from '../../core/findings/report.ts';
import { parseTime } from '../../core/period.ts';
import { SecretsError } from '../../core/errors.ts';
import { startProgress } from '../../output/progress.ts';
import type { Session } from '../../session/session.ts';
import { version } from '../../core/version.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Invocation } from '../command.ts';

interface ReportOptions extends CommonOptions {
  readonly values?: boolean;
  readonly trail?: boolean;
  readonly since?: string;
  readonly format?: Format;
  readonly out?: string;
  readonly failOn?: Severity;
  readonly baseline?: string;
  readonly updateBaseline?: boolean;
}

/** More than `unused-after` asks for, so that its rules can tell. */
const DEFAULT_SINCE = '120d';

export async function run(session: Session, { args, options }: Invocation<ReportOptions>): Promise<void> {
  const format = formatOf(options);
  if (options.updateBaseline === true && options.baseline === undefined)
    throw new SecretsError('Usage', '--update-baseline needs a file', {
      hint: 'name it with --baseline FILE',
    });
  const config = await session.config();
  const { file, untrustedReport } = config;
  if (untrustedReport !== undefined) {
    const { notTrusted } = await import('../../config/trust.ts');
    const { message, hint } = notTrusted('its part about the audit report', file, untrustedReport);
    session.warn(`${message}; ${hint}`);
  }
  const stores = args.length > 0 ? [...new Set(args.map(storeName))] : await storesInUse(session);
  // Before anything is asked: a wrong name is no store that failed.
  for (const store of stores) await session.storeConfig(store);
  const since = parseTime(options.since ?? DEFAULT_SINCE, session.world.now(), '--since');
  const path = (file: string): string => (isAbsolute(file) ? file : join(session.world.cwd, file));
  const known =
    options.baseline === undefined
      ? new Set<string>()
      : readBaseline(path(options.baseline), options.baseline, options.updateBaseline === true);
  const progress = startProgress(session);
  let data: ReportData;
  try {
    data = await buildReport(session, {
      stores,
      since,
      own: readAuditLog(config.audit.path, { since, until: session.world.now() }),
      values: options.values === true,
      trail: options.trail === true,
      failOn: options.failOn,
      known,
      progress: (text) => progress.update(text),
    });
  } finally {
    progress.done();
  }
  const colour = options.out === undefined && format === 'terminal' && (await wantsColour(session));
  const text = await render(format, data, { colour, version });
  if (options.out === undefined) await session.print(text);
  else {
    writeReport(path(options.out), text);
    session.note(`the report is in ${options.out}`);
  }
  if (options.baseline !== undefined && options.updateBaseline === true) {
    writeBaseline(path(options.baseline), data.findings);
    session.note(`${data.findings.length} findings are in the baseline ${options.baseline}`);
  }
  throwIfWrong(data, options.updateBaseline === true);
}

function formatOf({ format, json }: ReportOptions): Format {
  if (json !== true) return format ?? 'terminal';
  if (format !== undefined && format !== 'json')
    throw new SecretsError('Usage', `--json and --format ${format} exclude each other`, {
      hint: 'use one of them',
    });
  return 'json';
}

/** `prod` or `prod://`. */
function storeName(text: string): string {
  return text.endsWith('://') ? text.slice(0, -3) : text;
}

async function wantsColour(session: Session): Promise<boolean> {
  const { styleFor } = await import('../../output/style.ts');
  return (await styleFor(session, session.world.stdout)).level > 0;
}

/** @throws SecretsError Policy for the gate, Partial for stores that could not be looked at */
function throwIfWrong({ gate, stores }: ReportData, updated: boolean): void {
  const failures = stores.flatMap(({ errors }) =>
    errors.map(
      ({ kind, message, reference, hint }) =>
        new SecretsError(kind as SecretsError['kind'], message, { reference, hint }),
    ),
  );
  // What has just been put into the baseline is known from now on.
  if (gate !== undefined && gate.failing > 0 && !updated)
    throw new SecretsError(
      'Policy',
      `${gate.failing} new ${gate.failing === 1 ? 'finding is' : 'findings are'} ${gate.failOn} or worse`,
      { hint: 'fix them, or suppress them in secrets.yaml with a reason and an end', errors: failures },
    );
  if (failures.length > 0)
    throw new SecretsError('Partial', `${failures.length} could not be checked`, { errors: failures });
}
