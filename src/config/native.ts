/**
 * Determines which provider a policy's secret is in, before any store is opened, because its schema checks `native:`.
 */
import { parseReference } from '../core/reference/reference.ts';
import type { ProviderDescriptor } from '../providers/descriptor.ts';
import { descriptorOf, type ProgramWorld } from './kinds.ts';
import type { Layer } from './layer.ts';
import type { ParsedPart } from './parse.ts';

/**
 * `undefined` if the reference is malformed or its store is unknown; the error is reported when it is used.
 * @param part the file or profile that contains the policy: its stores and default come first
 */
export function providerOf(
  world: ProgramWorld,
  text: string,
  layers: readonly Layer[],
  part: ParsedPart,
): ProviderDescriptor | undefined {
  const identifier = text.split('#', 1)[0] ?? text;
  const native = world.providers.find((descriptor) => descriptor.native?.(identifier) !== undefined);
  if (native !== undefined) return native;
  const parts = [part, ...layers.flatMap((layer) => layer.parts).toReversed()];
  let store: string | undefined;
  try {
    store = parseReference(text).store;
  } catch {
    return undefined;
  }
  store ??= parts.find(({ defaultStore }) => defaultStore !== undefined)?.defaultStore?.name ?? 'local';
  const named = parts.find(({ stores }) => stores.has(store))?.stores.get(store);
  return descriptorOf(world, named?.provider ?? store);
}
