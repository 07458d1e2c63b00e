/** Opens generators from their settings: the values of `secrets generate`, for rotations. */
import {
  bitsOf,
  generate,
  type GenerateOptions,
  type GenerateSpec,
  parseGenerate,
} from '../../core/generate/generate.ts';
import { SecretsError } from '../../core/errors.ts';
import { isJsonObject } from '../../core/json.ts';
import type { Generated, GenerateSettings, Generator } from '../generator.ts';

/** The default without `generate`: letters and digits, which need no quoting anywhere; 190 bits. */
export const DEFAULT_SPEC = 'alnum:32';

const OPTIONS: Readonly<Record<keyof GenerateOptions, 'text' | 'texts' | 'size'>> = {
  alphabet: 'texts',
  kind: 'text',
  length: 'size',
  safe: 'texts',
  exclude: 'text',
  separator: 'text',
  names: 'texts',
  key: 'text',
  only: 'text',
};

/**
 * For a key pair, the rotated key becomes the private key; `public-key` and `csr` are its companions.
 * @throws SecretsError Usage for settings that name no generator
 */
export function openGenerator(settings: GenerateSettings = DEFAULT_SPEC): Generator {
  const spec = parseGenerate(typeof settings === 'string' ? settings : optionsOf(settings));
  return {
    title: titleOf(spec),
    bits: bitsOf(spec),
    make: () => generated(spec),
    ...(spec.kind === 'key' &&
      spec.key.type === 'rsa' && {
        // The smallest size that programs accept at all.
        sample: () => generated({ ...spec, key: { type: 'rsa', bits: 1024 } }),
      }),
  };
}

async function generated(spec: GenerateSpec): Promise<Generated> {
  const { value, bits, parts } = await generate(spec);
  if (parts === undefined) return { value, bits };
  const { 'private-key': key = '', ...companions } = parts;
  return { value: key, bits, companions };
}

function optionsOf(settings: Exclude<GenerateSettings, string>): GenerateOptions {
  for (const [name, value] of Object.entries(settings)) {
    const wanted = Object.hasOwn(OPTIONS, name) ? OPTIONS[name as keyof GenerateOptions] : undefined;
    if (wanted === undefined)
      throw new SecretsError('Usage', `generate: unknown key ${name}`, {
        hint: `known are ${Object.keys(OPTIONS).join(', ')}`,
      });
    const texts = Array.isArray(value) && value.every((part) => typeof part === 'string');
    const fits =
      typeof value === 'string' ||
      (wanted === 'size' && typeof value === 'number') ||
      (wanted === 'texts' && texts);
    if (!fits) throw new SecretsError('Usage', `generate: ${name} has a value of the wrong type`);
  }
  return isJsonObject(settings) ? (settings as GenerateOptions) : {};
}

function titleOf(spec: GenerateSpec): string {
  switch (spec.kind) {
    case 'characters': {
      const size = [...spec.classes.join('')].length;
      return `${spec.length} characters of ${size}`;
    }
    case 'bytes':
      return `${spec.length} random bytes in ${spec.encoding}`;
    case 'words':
      return `${spec.count} words`;
    case 'uuid':
      return 'a UUID';
    case 'key': {
      const { key, format } = spec;
      const type = key.type === 'rsa' ? `RSA ${key.bits}` : key.type === 'ec' ? `EC ${key.curve}` : 'Ed25519';
      if (format === 'ssh') return `an SSH key pair, ${type}`;
      return format === 'tls' ? `a TLS key and its signing request, ${type}` : `a key pair, ${type}`;
    }
  }
}
