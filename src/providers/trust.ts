/** How a descriptor decides which of its settings need trust: all except those known to be harmless. */
import type { JsonValue } from '../core/json.ts';
import type { StoreSettings, TrustItem } from '../core/trust.ts';

/** Why a setting needs no trust. */
export interface Harmless {
  readonly reason: string;
  /** The values that need no trust; all of them if missing. */
  readonly when?: (value: JsonValue) => boolean;
}

/** Settings that need no trust, by name. Dots separate nested names: `auth.token-file`. */
export type HarmlessSettings = Readonly<Record<string, Harmless>>;

/** Shown for a setting that has no description: the safe assumption, and a reason to describe it. */
const UNDESCRIBED = 'this setting changes where your credential or what you write goes';

/**
 * Creates a descriptor's `trustItems`: every setting that is present, except the harmless ones.
 * @param effects what a setting means, by name; a map named here is shown as a whole
 */
export function trustItemsFor(
  effects: Readonly<Record<string, string>>,
  harmless: HarmlessSettings = {},
): (settings: StoreSettings) => readonly TrustItem[] {
  const walk = (settings: StoreSettings, prefix: string): readonly TrustItem[] =>
    Object.entries(settings).flatMap(([key, value]) => {
      const setting = `${prefix}${key}`;
      if (value === undefined) return [];
      const known = Object.hasOwn(harmless, setting) ? harmless[setting] : undefined;
      if (known !== undefined && (known.when?.(value) ?? true)) return [];
      const effect = Object.hasOwn(effects, setting) ? effects[setting] : undefined;
      if (effect === undefined && typeof value === 'object' && value !== null && !Array.isArray(value))
        return walk(value as StoreSettings, `${setting}.`);
      return [{ setting, value: textOf(value), effect: effect ?? UNDESCRIBED }];
    });
  return (settings) => walk(settings, '');
}

function textOf(value: JsonValue): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
