import { isJsonObject } from '../../core/json.ts';
import { tell } from '../../output/outcome.ts';
import type { Session } from '../../session/session.ts';
import { askAll } from './ask.ts';

export async function run(session: Session): Promise<void> {
  const all = await askAll(session, { op: 'clear' });
  const cleared = all
    .map(({ done }) => (isJsonObject(done) && typeof done['cleared'] === 'number' ? done['cleared'] : 0))
    .reduce((sum, one) => sum + one);
  const text = `the agent has forgotten ${cleared === 1 ? '1 value' : `${cleared} values`}`;
  await tell(session, { text, json: { cleared }, dryRun: false });
}
