/** Delivery after a command. Checks whether there is anything to deliver before loading the code for it. */
import type { Session } from './session.ts';

/** Gives the audit sinks a moment to receive what this command has recorded; the rest is sent later. Never rejects. */
export async function deliverRecords(session: Session): Promise<void> {
  if (session.verb === 'audit send' || !session.stores.records.hasBegun) return;
  try {
    const { audit } = await session.config();
    if (audit.log === 'off' || (audit.sinks === undefined && audit.untrustedSinks !== true)) return;
    const { deliverAfter } = await import('./deliver.ts');
    await deliverAfter(session, audit);
  } catch (thrown) {
    session.debug(`audit sinks: ${String(thrown)}`);
  }
}
