/** `rotate --dry-run`: the plan of one rotation. */
import { SecretsError } from '../../core/errors.ts';
import { singleLine } from '../../core/text/sanitize.ts';
import { compact } from '../../output/shapes.ts';
import type { Job } from '../../rotation/jobs.ts';
import { obstacle, preflight, type PreflightFinding } from '../../rotation/preflight.ts';
import type { Session } from '../../session/session.ts';
import { reminderFinding } from './native.ts';
import { jsonLine } from './outcome.ts';

/** `--dry-run`: what would be done, and whether the store and the target can be reached and allow it. */
export async function rehearse(
  session: Session,
  job: Job,
  create: boolean,
): Promise<SecretsError | undefined> {
  const stages = await job.place.read();
  const known = { current: stages.current, pending: stages.pending, previous: stages.previous };
  const findings: PreflightFinding[] = [
    ...(await preflight({ ...job, create }, known, () => session.call())),
  ];
  if (stages.pending !== undefined)
    findings.push({ check: 'pending', status: 'fail', detail: 'a rotation is under way already' });
  findings.push(...(await reminderFinding(session, job)));
  const { bits, title } = job.generator;
  const what = job.target.issue === undefined ? `${title} (${bits} bits)` : 'made by the target';
  if (session.options.json === true) {
    await session.print(
      jsonLine(
        compact({
          reference: job.reference,
          target: job.type,
          keys: job.keys.length === 0 ? undefined : job.keys,
          generate: job.target.issue === undefined ? title : undefined,
          bits: job.target.issue === undefined ? bits : undefined,
          graceMs: job.graceMs,
          version: stages.current?.id,
          findings: findings.map(({ kind: _ofTheError, ...finding }) => compact({ ...finding })),
          dryRun: true,
        }),
      ),
    );
  } else {
    const keys = job.keys.length === 0 ? 'the whole value' : job.keys.join(', ');
    const lines = [
      `${job.reference}: would rotate ${keys}: ${what}, target ${job.type}`,
      ...findings.map(
        ({ check, status, detail, hint }) =>
          `  ${status} ${check}: ${detail}${hint === undefined ? '' : ` (${hint})`}`,
      ),
    ];
    await session.print(
      lines.map((line) => `${line.startsWith(' ') ? '  ' : ''}${singleLine(line.trim())}\n`).join(''),
    );
  }
  const error = obstacle(findings);
  return (
    error &&
    new SecretsError(error.kind, `would not work: ${error.message}`, {
      reference: job.reference,
      hint: error.hint,
    })
  );
}
