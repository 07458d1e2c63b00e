/** Explains why a log doesn't start with record 1. Pure. */
import type { AuditRecord, Checkpoint } from './record.ts';
import { explainsStart } from './chain.ts';
import type { Item } from './line.ts';
import type { Known, Problem } from './problems.ts';
import { isJsonObject } from '../json.ts';

const ACCEPT = 'if you know why, secrets audit anchor --accept signs that';

export class LogStart {
  readonly item: Item;
  readonly seq: number;
  #explained: { readonly by: number; readonly accepted: boolean } | undefined;
  #claim = '';

  /** @param item the first line */
  constructor(item: Item, seq: number) {
    this.item = item;
    this.seq = seq;
  }

  /** Whether a signed checkpoint explains it. */
  get isExplained(): boolean {
    return this.#explained !== undefined;
  }

  /** Takes into account a checkpoint with a valid signature. */
  addCheckpoint(seq: number, checkpoint: Checkpoint): void {
    const { removed } = checkpoint;
    if (explainsStart(checkpoint, { seq: this.seq, prev: this.item.prev ?? '' }))
      this.#explained = { by: seq, accepted: !isJsonObject(removed) };
    else if (isJsonObject(removed) && removed.from !== 1)
      this.#claim = `; checkpoint ${seq} says that retention removed ${removed.from} to ${removed.to}, and that those before were gone by then`;
  }

  /** Takes into account a retention record. Anybody can write one, so it only counts if a checkpoint confirms it. */
  addRetention({ seq, retention }: AuditRecord): void {
    if (isJsonObject(retention) && retention.to >= this.seq - 1)
      this.#claim = `; the retention in record ${seq} is unsigned`;
  }

  problem(): Problem {
    const { file, line } = this.item;
    return {
      kind: 'removed',
      file,
      line,
      seq: this.seq,
      message: `the log begins with record ${this.seq}, and no signed checkpoint says that those before it were removed${this.#claim}; ${ACCEPT}`,
      acceptable: true,
    };
  }

  notice(): string {
    return this.#explained?.accepted === true
      ? `starts at record ${this.seq}: checkpoint ${this.#explained.by} accepts that`
      : `starts at record ${this.seq}, by retention`;
  }

  /** Judges a known record before the start of the log: its absence is fine only if a signature explains it. */
  gone({ seq, from }: Known): { readonly notice: string } | Problem {
    const known = `${from} knows record ${seq}`;
    if (this.#explained === undefined)
      return { kind: 'truncated', seq, message: `the log begins with record ${this.seq}, and ${known}` };
    return { notice: `${known}, which is removed: the signed checkpoint ${this.#explained.by} says so` };
  }
}
