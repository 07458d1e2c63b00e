/** Reads values for the rules about them: in batches, a few at a time, each dropped once it has been examined. */
import type { ReportNote } from '../core/findings/report.ts';
import type { SecretFacts } from '../core/findings/posture.ts';
import { ValueRules } from '../core/findings/values.ts';
import { toSecretsError } from '../core/errors.ts';
import { compareText } from '../core/order.ts';
import { pools } from '../core/waiting.ts';
import type { Session } from '../session/session.ts';
import { loadStrength } from '../core/findings/strength.ts';

const BATCH = 20;
/** For each store. */
const PARALLEL = 4;

/** Whether a label marks a honey secret, which nobody should read; the report doesn't either. */
export function isHoney(labels: Readonly<Record<string, string>> | undefined): boolean {
  return labels !== undefined && Object.hasOwn(labels, HONEY_LABEL) && labels[HONEY_LABEL] !== 'false';
}

export const HONEY_LABEL = 'honey';

export async function readValues(
  session: Session,
  secrets: readonly SecretFacts[],
  weakBelow: number,
  note: (note: ReportNote) => void,
  fail: (store: string, thrown: unknown, reference: string) => void,
  progress: (text: string) => void,
): Promise<ValueRules> {
  const rules = new ValueRules(await loadStrength(), weakBelow);
  const wanted = secrets.filter(({ info }) => !isHoney(info.labels));
  const batches: SecretFacts[][] = [];
  for (const facts of wanted) {
    const last = batches.at(-1);
    if (last !== undefined && last.length < BATCH && last[0]?.store === facts.store) last.push(facts);
    else batches.push([facts]);
  }
  const limit = pools(PARALLEL);
  const hidden = new Map<string, number>();
  let done = 0;
  await Promise.all(
    batches.map((batch) => {
      const store = batch[0]?.store ?? '';
      return limit(store, async () => {
        try {
          const provider = await session.open(store);
          const answers = await provider.get(
            batch.map(({ info }) => ({ name: info.name })),
            session.call(),
          );
          for (const [index, answer] of answers.entries()) {
            const secret = batch[index]?.info.name ?? '';
            if (answer.ok) rules.take({ store, secret }, answer.secret.value);
            else if (answer.error.kind === 'Denied') hidden.set(store, (hidden.get(store) ?? 0) + 1);
            // No current version, or deleted meanwhile: other rules report that.
            else if (answer.error.kind !== 'NotFound' && answer.error.kind !== 'Invalid')
              fail(store, answer.error, `${store}://${secret}`);
          }
        } catch (thrown) {
          fail(store, toSecretsError(thrown), `${store}://`);
        }
        done += batch.length;
        progress(`${done} of ${wanted.length} values`);
      });
    }),
  );
  for (const [store, count] of [...hidden].toSorted(([one], [other]) => compareText(one, other)))
    note({ store, message: `the values of ${count} secrets are not judged: the caller may not read them` });
  if (rules.unjudged > 0)
    note({
      rule: 'weak-value',
      message: `${rules.unjudged} values are too long to be judged, and not taken for weak`,
    });
  return rules;
}
