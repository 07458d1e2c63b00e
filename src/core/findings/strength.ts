/**
 * Estimates how many guesses a value would take, using zxcvbn. Loaded on demand, because its dictionaries are large.
 */
import type { Strength } from './values.ts';

export async function loadStrength(): Promise<Strength> {
  const { ZxcvbnFactory } = await import('@zxcvbn-ts/core');
  const common = await import('@zxcvbn-ts/language-common');
  const english = await import('@zxcvbn-ts/language-en');
  const zxcvbn = new ZxcvbnFactory({
    graphs: common.adjacencyGraphs,
    dictionary: { ...common.dictionary, ...english.dictionary },
  });
  return (text) => zxcvbn.check(text).guessesLog10;
}
