import { isJsonObject } from '../../core/json.ts';
import { tell } from '../../output/outcome.ts';
import type { Session } from '../../session/session.ts';
import { askRunning } from './ask.ts';

export async function run(session: Session): Promise<void> {
  const { done } = await askRunning(session, { op: 'clear' });
  const cleared = isJsonObject(done) && typeof done['cleared'] === 'number' ? done['cleared'] : 0;
  const text = `the agent has forgotten ${cleared === 1 ? '1 value' : `${cleared} values`}`;
  await tell(session, { text, json: { cleared }, dryRun: false });
}
