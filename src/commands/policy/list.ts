import type { Rule } from '../../core/policy/rules.ts';
import { printTable } from '../../output/table.ts';
import { findPolicies } from '../../policy/find.ts';
import { Policy } from '../../policy/policy.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Session } from '../../session/session.ts';
import type { Invocation } from '../command.ts';

export async function run(session: Session, { options }: Invocation<CommonOptions>): Promise<void> {
  const places = findPolicies(session.world, await session.config());
  const { layers } = Policy.load(session.world, places);
  const rows = layers.flatMap(({ name, path, rules }) =>
    rules.map((rule) => ({ ...rule, layer: name, file: path })),
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

function resourceText({ type, id }: NonNullable<Rule['scope']>): string {
  return `${type}::${JSON.stringify(id)}`;
}
