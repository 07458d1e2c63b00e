/** Generators by their settings. */
import { generate } from '../../core/generate.ts';
import { SecretsError } from '../../core/errors.ts';
import type { GenerateSettings, Generator } from '../generator.ts';

/** What a policy without `generate` gets: letters and digits, which need no quoting anywhere; 190 bits. */
export const DEFAULT_SPEC = 'alnum:32';

/** @throws SecretsError Usage for settings that name no generator */
export function openGenerator(settings: GenerateSettings = DEFAULT_SPEC): Generator {
  const spec = typeof settings === 'string' ? settings : specOf(settings);
  const { bits } = generate(spec);
  return { title: spec, bits, make: async () => generate(spec) };
}

function specOf({ length, alphabet = 'alnum', ...rest }: Exclude<GenerateSettings, string>): string {
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined || typeof alphabet !== 'string')
    throw new SecretsError('Usage', `generate: unknown key ${unknown ?? 'alphabet'}`, {
      hint: 'known are length and alphabet',
    });
  return length === undefined ? alphabet : `${alphabet}:${String(length)}`;
}
