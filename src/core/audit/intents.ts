/** Intended changes whose outcome isn't recorded. Pure. */
import type { AuditRecord } from './record.ts';

const MOST = 10_000;
const SHOWN = 10;

export class OpenIntents {
  readonly #open = new Map<number, string>();
  #more = 0;

  add(record: AuditRecord): void {
    const { seq, kind, action, store, secret, intent } = record;
    if (intent !== undefined) this.#open.delete(intent);
    if (kind !== 'intent') return;
    if (this.#open.size < MOST)
      this.#open.set(seq, `${String(action)} ${String(store)}://${String(secret ?? '')}`);
    else this.#more += 1;
  }

  has(seq: number): boolean {
    return this.#open.has(seq);
  }

  notices(): string[] {
    const shown = [...this.#open].slice(0, SHOWN);
    const more = this.#open.size - shown.length + this.#more;
    return [
      ...shown.map(([seq, what]) => `outcome not recorded: record ${seq}, ${what}`),
      ...(more > 0 ? [`outcome not recorded: ${more} more`] : []),
    ];
  }
}
