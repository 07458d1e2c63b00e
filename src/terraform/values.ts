/** Values as OpenTofu and Terraform send them: MessagePack, with an extension type for what isn't known yet. */
import { decode, encode, ExtData } from '@msgpack/msgpack';
import { SecretsError } from '../core/errors.ts';

/** Stands for a value that is only known after something else is applied. */
export const UNKNOWN: unique symbol = Symbol('unknown');

export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | typeof UNKNOWN
  | readonly Value[]
  | { readonly [name: string]: Value };

/** The attributes of a block, or null for one that doesn't exist. */
export type Attributes = Readonly<Record<string, Value>>;

/** `DynamicValue` of the protocol. */
export interface DynamicValue {
  readonly msgpack?: Uint8Array;
  readonly json?: Uint8Array;
}

// Numbers beyond 2^53 come as integers of 64 bits, and are passed on unchanged.
const NUMBERS = { useBigInt64: true };
/** The extension type 0 is "unknown"; type 12 adds what is known of it nevertheless, which isn't needed here. */
const READING = { ...NUMBERS, extensionCodec: { tryToEncode: () => null, decode: () => UNKNOWN } };
const UNKNOWN_BYTES = new ExtData(0, Uint8Array.of(0));

/** @throws SecretsError Invalid */
export function decodeBlock(value: DynamicValue | null | undefined): Attributes | null {
  const block = decoded(value);
  if (block === null) return null;
  if (typeof block === 'object' && !Array.isArray(block)) return block as Attributes;
  throw new SecretsError('Invalid', 'the configuration came in a form that this provider can’t read');
}

function decoded(value: DynamicValue | null | undefined): unknown {
  if (value?.msgpack !== undefined && value.msgpack.length > 0) return decode(value.msgpack, READING);
  if (value?.json !== undefined && value.json.length > 0)
    return JSON.parse(Buffer.from(value.json).toString());
  return null;
}

/** A block with all its attributes; those that are missing here must not be missing in its schema. */
export function encodeBlock(block: Attributes | null): DynamicValue {
  return { msgpack: encode(withExtensions(block), NUMBERS) };
}

function withExtensions(value: Value): unknown {
  if (value === UNKNOWN) return UNKNOWN_BYTES;
  if (Array.isArray(value)) return value.map(withExtensions);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withExtensions(member)]));
}

/** An attribute that is a text, or undefined for null. @throws SecretsError Usage if it isn't known yet */
export function textOf(block: Attributes, name: string): string | undefined {
  const value = block[name];
  if (typeof value === 'string') return value;
  if (value === UNKNOWN)
    throw new SecretsError('Usage', `${name} must be known`, {
      hint: 'use a value that does not depend on a resource that is yet to be created',
    });
  return undefined;
}
