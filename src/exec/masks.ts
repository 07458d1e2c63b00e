/** What is masked in a child's output, while the secrets change under it. */
import { SecretsError } from '../core/errors.ts';
import { type MaskedStream, Masker } from '../core/redaction/redactor.ts';

/** Values that were replaced this many changes ago are forgotten: what a child remembers ends with it. */
const KEPT_GENERATIONS = 16;

/** Masks the values of now and of before; streams learn of new ones while they run. */
export class GrowingMasks {
  /** The newest first. */
  #generations: readonly (readonly Uint8Array[])[];
  #masker: Masker;
  readonly #streams = new Set<MaskedStream>();

  /** @throws SecretsError Invalid when they are too many to be masked */
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
   * Masks these as well; the oldest are forgotten where all are too many.
   * @throws SecretsError Invalid when these alone are
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

  /** Streams of a child that has ended. */
  forgetStreams(): void {
    this.#streams.clear();
  }
}

function distinct(values: readonly Uint8Array[]): readonly Uint8Array[] {
  return [...new Map(values.map((value) => [Buffer.from(value).toString('latin1'), value])).values()];
}
