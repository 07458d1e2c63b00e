/** What `access grant` and `access revoke` have in common. */
import { changeAccess } from '../../access/change.ts';
import { diffLines } from '../../core/access/diff.ts';
import type { AccessPlan, AccessWish } from '../../core/access/plan.ts';
import { parsePeriod } from '../../core/duration.ts';
import { SecretsError } from '../../core/errors.ts';
import { singleLine } from '../../core/text/sanitize.ts';
import { compact } from '../../output/shapes.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Session } from '../../session/session.ts';
import { withSecret } from '../with-secret.ts';
import { controlOf } from './control.ts';

export interface ChangeOptions extends CommonOptions {
  readonly for?: string;
  readonly through?: string;
  readonly broad?: boolean;
  readonly dryRun?: boolean;
}

export async function change(
  session: Session,
  kind: AccessWish['change'],
  [principal = '', reference = '']: readonly string[],
  options: ChangeOptions,
): Promise<void> {
  const until = endOf(session, options.for);
  if (options.broad === true && session.stores.records.reason() === undefined)
    throw new SecretsError('Usage', '--broad needs a reason', { hint: 'pass --reason TEXT' });
  await withSecret(session, reference, async ({ provider, name, target, store }) => {
    const control = await controlOf(provider, store);
    const { broad, through, dryRun = false } = options;
    const wish = { change: kind, name, principal, until, broad, through };
    const call = () => session.call();
    const plan = dryRun ? await control.plan(wish, call()) : await changeAccess(control, wish, call);
    if (options.json === true) await session.printJson(planJson(target.text, plan, dryRun));
    else await tellPlan(session, target.text, plan, dryRun);
  });
}

function endOf(session: Session, period: string | undefined): Date | undefined {
  if (period === undefined) return undefined;
  // Services keep whole seconds.
  const end = session.world.now().getTime() + parsePeriod(period);
  return new Date(Math.floor(end / 1000) * 1000);
}

function planJson(reference: string, plan: AccessPlan, dryRun: boolean): object {
  const { wish, principal, edits, notes } = plan;
  return compact({
    reference,
    principal,
    change: wish.change,
    changed: edits.length > 0,
    until: wish.until?.toISOString(),
    edits: edits.map(({ place, before = null, after = null }) => ({ place, before, after })),
    notes: notes.length === 0 ? undefined : notes,
    dryRun: dryRun ? true : undefined,
  });
}

async function tellPlan(
  session: Session,
  reference: string,
  { wish, principal, edits, notes }: AccessPlan,
  dryRun: boolean,
): Promise<void> {
  const isGrant = wish.change === 'grant';
  const until = wish.until === undefined ? '' : ` until ${wish.until.toISOString()}`;
  const already = isGrant ? 'already has this grant' : 'has no grant from secrets';
  if (dryRun) {
    const lines =
      edits.length === 0
        ? [`${reference}: ${principal} ${already}; nothing to change`]
        : edits.flatMap((edit) => diffLines(edit));
    await session.print(lines.map((line) => `${singleLine(line)}\n`).join(''));
  } else if (edits.length === 0) session.note(`${reference}: ${principal} ${already}`);
  else
    session.note(
      isGrant
        ? `${reference}: ${principal} may read it${until}`
        : `${reference}: the grant of ${principal} is revoked`,
    );
  if (edits.length > 0) for (const text of notes) session.note(text);
}
