/** What the database targets' settings need trust for. Imports types only. */
import type { TrustItem } from '../../../providers/provider.ts';
import type { TargetSettings } from '../../target.ts';

export function databaseTrustItems(settings: TargetSettings): readonly TrustItem[] {
  const items = [
    { setting: 'host', effect: 'the database’s password is sent to this host' },
    { setting: 'ca', effect: 'servers with certificates of this authority are believed' },
    { setting: 'admin', effect: 'this secret is read, and sent to the database as its administrator’s' },
  ];
  return items.flatMap(({ setting, effect }) => {
    const value = settings[setting];
    return typeof value === 'string' ? [{ setting, value, effect }] : [];
  });
}
