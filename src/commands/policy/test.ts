import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { nearest } from '../../core/reference/nearest.ts';
import { singleLine } from '../../core/text/sanitize.ts';
import { fileError, isMissing } from '../../platform/files.ts';
import { decideCase, deviation, type PolicyCase, readCases } from '../../policy/cases.ts';
import { type LayerName, POLICY_FILE } from '../../policy/find.ts';
import { Policy } from '../../policy/policy.ts';
import { policyTextOf } from '../../policy/review.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Session } from '../../session/session.ts';
import type { Invocation } from '../command.ts';

export const CASES_FILE = 'secrets.policy.test.yaml';
/** In the order in which they decide. */
const LAYERS: readonly LayerName[] = ['machine', 'user', 'project'];

interface TestOptions extends CommonOptions {
  readonly policy?: readonly string[];
}

export async function run(session: Session, { args, options }: Invocation<TestOptions>): Promise<number> {
  const { world } = session;
  const { file, stores } = await session.config();
  const named = options.policy?.map((path) => resolve(world.cwd, path));
  if (named !== undefined && named.length > LAYERS.length)
    throw new SecretsError('Usage', `there are ${LAYERS.length} layers, and ${named.length} policy files`);
  const paths = named ?? [join(file === undefined ? world.cwd : dirname(file), POLICY_FILE)];
  const layers = LAYERS.slice(LAYERS.length - paths.length);
  const files = await Promise.all(
    paths.map(async (path, index) => ({
      path,
      layer: layers[index] ?? 'project',
      text: await policyTextOf(path),
    })),
  );
  const policy = Policy.of(files);
  const casesPath =
    args[0] === undefined ? join(dirname(paths.at(-1) ?? ''), CASES_FILE) : resolve(world.cwd, args[0]);
  const cases = readCases(bytesOf(casesPath), args[0] ?? casesPath);
  warnOfStores(session, cases, [...stores.keys()], args[0] ?? casesPath);
  const results = cases.map((one) => ({
    one,
    decision: decideCase(policy, one, (store) => stores.get(store)),
  }));
  const failures = results.flatMap(({ one, decision }) => {
    const why = deviation(one, decision);
    return why === undefined ? [] : [{ one, why }];
  });
  const used = new Set(results.flatMap(({ decision }) => decision.policies));
  const untested = policy.layers.flatMap(({ name, rules }) =>
    rules.map(({ id }) => `${name}:${id}`).filter((id) => !used.has(id)),
  );
  if (options.json === true)
    await session.printJson({
      cases: cases.length,
      failures: failures.map(({ one, why }) => ({ line: one.line, name: nameOf(one), why })),
      untested,
    });
  else {
    for (const { one, why } of failures)
      await session.print(`${singleLine(`${args[0] ?? casesPath}:${one.line}: ${nameOf(one)}: ${why}`)}\n`);
    session.note(
      `${cases.length - failures.length} of ${cases.length} cases are decided as expected` +
        (untested.length === 0 ? '' : `; no case depends on ${untested.join(', ')}`),
    );
  }
  return failures.length === 0 ? 0 : 1;
}

/** A misspelt store is denied everything, which a case may expect. It may also be one that isn't configured here. */
function warnOfStores(
  session: Session,
  cases: readonly PolicyCase[],
  stores: readonly string[],
  path: string,
): void {
  for (const { resource, provider, line } of cases) {
    const [store = ''] = resource.split('://', 1);
    if (provider !== undefined || stores.includes(store)) continue;
    const near = nearest(store, stores);
    const hint = near === undefined ? 'give the case its provider' : `did you mean ${near}?`;
    session.warn(singleLine(`${path}:${line}: no store here is named ${store}; ${hint}`));
  }
}

function nameOf({ name, user, client, groups, action, resource }: PolicyCase): string {
  return name ?? `${client ?? user ?? groups?.join('+') ?? 'nobody'} ${action} ${resource}`;
}

function bytesOf(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (thrown) {
    if (isMissing(thrown)) throw new SecretsError('NotFound', `there are no cases in ${path}`);
    throw fileError(thrown, 'cannot read the cases', path);
  }
}
