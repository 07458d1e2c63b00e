/** A short way for a descriptor to say which of its settings need trust. */
import type { JsonValue } from '../core/json.ts';
import type { StoreSettings, TrustItem } from './provider.ts';

/**
 * Makes a descriptor's `trustItems`: the settings that need trust, each with what it means. A setting inside a map is
 * named with dots: `auth.token-file`.
 */
export function trustItemsFor(
  effects: Readonly<Record<string, string>>,
): (settings: StoreSettings) => readonly TrustItem[] {
  return (settings) =>
    Object.entries(effects).flatMap(([setting, effect]): TrustItem[] => {
      let value: JsonValue | undefined = settings;
      for (const key of setting.split('.'))
        value =
          typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, key)
            ? (value as Readonly<Record<string, JsonValue>>)[key]
            : undefined;
      if (value === undefined) return [];
      return [{ setting, value: typeof value === 'string' ? value : JSON.stringify(value), effect }];
    });
}
