/** The values to mask in a child's output while its secrets change. */
import { SecretsError } from '../core/errors.ts';
import { type MaskedStream, Masker } from '../core/redaction/redactor.ts';

/** Values that were replaced this many changes ago are no longer masked. A restarted child doesn't know them. */
const KEPT_GENERATIONS = 16;

/** Masks current and earlier values; running streams pick up new ones. */
export class GrowingMasks {
  /** Newest first. */
  #generations: readonly (readonly Uint8Array[])[];
  #masker: Masker;
  readonly #streams = new Set<MaskedStream>();

  /** @throws SecretsError Invalid if there are too many to mask */
  constructor(values: readonly Uint8Array[]) {
    this.#generations = [values];
    this.#masker = new Masker(values);
  }

  stream(): MaskedStream {
    const stream = this.#masker.stream();
    this.#streams.add(stream);
    return stream;
  }

  /**
   * Masks these values as well, and drops the oldest ones if there are too many.
   * @throws SecretsError Invalid if these alone are too many
   */
  add(values: readonly Uint8Array[]): void {
    const wanted = [values, ...this.#generations].slice(0, KEPT_GENERATIONS);
    for (let count = wanted.length; ; count -= 1) {
      const kept = wanted.slice(0, count);
      try {
        this.#masker = new Masker(distinct(kept.flat()));
        this.#generations = kept;
        break;
      } catch (thrown) {
        if (!(thrown instanceof SecretsError) || count === 1) throw thrown;
      }
    }
    for (const stream of this.#streams) stream.switchTo(this.#masker);
  }

  /** Call when the child has ended. */
  forgetStreams(): void {
    this.#streams.clear();
  }
}

function distinct(values: readonly Uint8Array[]): readonly Uint8Array[] {
  return [...new Map(values.map((value) => [Buffer.from(value).toString('latin1'), value])).values()];
}
