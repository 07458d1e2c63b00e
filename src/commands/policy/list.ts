import { readAuditLog } from '../../audit/log/read.ts';
import { parseTime } from '../../core/period.ts';
import type { Rule } from '../../core/policy/rules.ts';
import { singleLine } from '../../core/text/sanitize.ts';
import { printTable } from '../../output/table.ts';
import { findPolicies } from '../../policy/find.ts';
import { Policy } from '../../policy/policy.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Session } from '../../session/session.ts';
import type { Invocation } from '../command.ts';

interface ListOptions extends CommonOptions {
  readonly unused?: string;
}

export async function run(session: Session, { options }: Invocation<ListOptions>): Promise<void> {
  const places = findPolicies(session.world, await session.config());
  const { layers } = Policy.load(session.world, places);
  const all = layers.flatMap(({ name, path, rules }) =>
    rules.map((rule) => ({ ...rule, layer: name, file: path })),
  );
  const used = options.unused === undefined ? undefined : await usedSince(session, options.unused);
  const rows = all.filter(
    ({ effect, layer, id }) => used === undefined || (effect === 'permit' && !used.has(`${layer}:${id}`)),
  );
  if (options.json === true)
    return session.printJson(
      rows.map(({ layer, id, effect, file, line, scope }) => ({
        layer,
        id,
        effect,
        ...(scope !== undefined && { resource: resourceText(scope) }),
        file,
        line,
      })),
    );
  if (places.length === 0) return session.note('no policy file is in use: everything is allowed');
  await printTable(
    session,
    ['LAYER', 'EFFECT', 'ID', 'RESOURCE', 'PLACE'],
    rows.map(({ layer, effect, id, scope, file, line }) => [
      layer,
      effect,
      id,
      scope === undefined ? 'any' : resourceText(scope),
      `${file}:${line}`,
    ]),
  );
}

/** The policies that allowed something in this period, by the log of this machine and user. */
async function usedSince(session: Session, text: string): Promise<ReadonlySet<string>> {
  const since = parseTime(text, session.world.now(), '--unused');
  const { path, log } = (await session.config()).audit;
  const used = new Set<string>();
  let first: string | undefined;
  for await (const record of readAuditLog(path, {}, { signal: session.interrupt.signal })) {
    first ??= record.time;
    if (record.outcome !== 'allowed' || Date.parse(record.time) < since.getTime()) continue;
    for (const id of record.policies ?? []) used.add(id);
  }
  if (log === 'off') session.warn('the audit log is off, so uses aren’t recorded');
  else if (first === undefined || Date.parse(first) > since.getTime())
    session.warn(
      first === undefined
        ? 'the audit log is empty'
        : `the audit log begins at ${singleLine(first)}, after that time`,
    );
  return used;
}

function resourceText({ type, id }: NonNullable<Rule['scope']>): string {
  return `${type}::${JSON.stringify(id)}`;
}
