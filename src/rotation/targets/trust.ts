/** What several targets' settings need trust for. Imports types only: descriptors do. */
import type { TrustItem } from '../../providers/provider.ts';

export const AUTHORITY_EFFECT = 'servers with certificates of this authority are believed';

/**
 * Those of the settings that are set to a text.
 * @param effects what happens with each, by its name
 * @param prefix of the names, for settings inside of a setting
 */
export function trustItemsOf(
  settings: Readonly<Record<string, unknown>>,
  effects: Readonly<Record<string, string>>,
  prefix = '',
): TrustItem[] {
  return Object.entries(effects).flatMap(([name, effect]) => {
    const value = settings[name];
    return typeof value === 'string' ? [{ setting: `${prefix}${name}`, value, effect }] : [];
  });
}

/** A setting that is a map. */
export function mapOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}
