/** Delivery after a command: whether there is anything to deliver, before what delivers is loaded. */
import type { Session } from './session.ts';

/**
 * Lets the audit sinks have what this command has recorded, for a moment: what they don't take then, they get later.
 * Never rejects.
 */
export async function deliverRecords(session: Session): Promise<void> {
  if (session.verb === 'audit send' || !session.hasRecorded) return;
  try {
    const { audit } = await session.config();
    if (audit.log === 'off' || (audit.sinks === undefined && audit.untrustedSinks !== true)) return;
    const { deliverAfter } = await import('./deliver.ts');
    await deliverAfter(session, audit);
  } catch (thrown) {
    session.debug(`audit sinks: ${String(thrown)}`);
  }
}
