import type { Session } from './session.ts';

/**
 * The stores that a command is about when it names none: the default one, those that a configuration file defines, and
 * those of rotation policies. Built-in stores are left out unless they are in use, since each would be a cloud to ask.
 */
export async function projectStores(session: Session): Promise<ReadonlySet<string>> {
  const config = await session.config();
  const stores = new Set(config.untrustedDefault === undefined ? [config.defaultStore] : []);
  for (const { name, source } of config.stores.values()) if (source !== 'builtin') stores.add(name);
  for (const { reference } of config.policies.values())
    stores.add((await session.target(reference, false)).store);
  return stores;
}
