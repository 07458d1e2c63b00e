/**
 * Verifies that a chain of records is what its writers wrote. Lines are added one by one, in the order of the files;
 * at the end there is a list of problems. Memory is bounded: it doesn't grow with the log.
 *
 * How problems are classified, for a record that doesn't fit after the previous one (docs/audit-log.md has a table):
 * its own hash shows whether it was changed; the number of the next record shows whether it was inserted; missing
 * numbers were removed, unless they turn up elsewhere, in which case records were reordered.
 */
import type { AuditRecord, Checkpoint, Repair } from './record.ts';
import { CHECKPOINT_EVERY, NO_HASH, signedText } from './chain.ts';
import { OpenIntents } from './intents.ts';
import { type Item, parseItem } from './line.ts';
import type { Known, Position, Problem, ProblemKind, Summary, Trust } from './problems.ts';
import { LogStart } from './start.ts';
import { isJsonObject } from '../json.ts';

const MOST_PROBLEMS = 100;
const MOST_GAPS = 1000;

interface Mutable {
  order: number;
  problem: Problem;
}

export class ChainVerifier {
  readonly #trust: Trust;
  readonly #isPart: boolean;
  readonly #known: Map<number, Known[]>;
  readonly #problems: Mutable[] = [];
  #more = 0;
  #order = 0;
  #waiting: Item | undefined;
  /** The next number, and the hashes that it may refer to: two, after a changed record. */
  #expected = 1;
  #links: readonly (string | undefined)[] = [NO_HASH];
  #last: Item | undefined;
  #beforeLast: readonly (string | undefined)[] = [NO_HASH];
  /** Set if the log doesn't start with record 1. */
  #start: LogStart | undefined;
  readonly #intents = new OpenIntents();
  #secondHead: string | undefined;
  #accepted: string[] = [];
  #first: number | undefined;
  #firstPrev: string | undefined;
  #records = 0;
  #checkpoints = 0;
  #repairs = 0;
  #signedTo: number | undefined;
  readonly #keys = new Set<string>();
  readonly #gaps = new Map<number, { readonly to: number; readonly finding: Mutable | undefined }>();
  readonly #early = new Map<number, { readonly item: Item; readonly finding: Mutable | undefined }>();

  /** @param isPart for files from the middle of a log: missing records before them aren't a problem */
  constructor(trust: Trust, known: readonly Known[], isPart = false) {
    this.#trust = trust;
    this.#known = group(known.filter(({ seq }) => seq > 0));
    this.#isPart = isPart;
  }

  /** Adds the next line, without its line end. */
  add(line: string, position: Position): void {
    const item = parseItem(line, position);
    if (this.#waiting !== undefined) this.#judge(this.#waiting, item);
    this.#waiting = item;
  }

  /** Adds a problem found elsewhere, such as a line without an end. */
  report(problem: Problem): void {
    this.#find(problem);
  }

  end(): Summary {
    if (this.#waiting !== undefined) this.#judge(this.#waiting, undefined);
    this.#waiting = undefined;
    for (;;) {
      // A record that was found too early and is missing at the end was moved from there.
      const early = this.#early.get(this.#expected);
      if (early === undefined || !this.#links.includes(early.item.prev)) break;
      reclassify(early.finding, 'reordered', `record ${this.#expected} was moved here from the end`);
      this.#advance(early.item, this.#expected, [early.item.claimed]);
    }
    const notices: string[] = [];
    const start = this.#start;
    if (start !== undefined && this.#isPart) {
      notices.push(`starts at record ${start.seq}: the files before were not given`);
    } else if (start?.isExplained === true) notices.push(start.notice());
    else if (start !== undefined) this.#find(start.problem(), -1);
    notices.push(...this.#accepted, ...this.#intents.notices());
    const last = this.#expected - 1;
    for (const known of [...this.#known.values()].flat()) {
      const { seq, from, own } = known;
      const gone = start !== undefined && seq < start.seq ? start.gone(known) : undefined;
      if (gone !== undefined && 'notice' in gone) notices.push(gone.notice);
      else if (gone !== undefined) this.#find(gone);
      else if (seq > last) {
        const message = `the log ends with record ${last}, and ${from} knows record ${seq}`;
        this.#find({ kind: 'truncated', seq, message, acceptable: own });
      }
    }
    this.#problems.sort((one, other) => one.order - other.order);
    return {
      records: this.#records,
      first: this.#first,
      firstPrev: this.#firstPrev,
      last: this.#records === 0 ? undefined : last,
      lastHash: this.#records === 0 ? undefined : this.#links[0],
      checkpoints: this.#checkpoints,
      signedTo: this.#signedTo,
      keys: [...this.#keys],
      retainedFrom: start?.isExplained === true ? start.seq : undefined,
      secondHead: this.#secondHead,
      repairs: this.#repairs,
      problems: this.#problems.map(({ problem }) => problem),
      more: this.#more,
      notices,
    };
  }

  #find(problem: Problem, order = this.#order): Mutable | undefined {
    if (this.#problems.length >= MOST_PROBLEMS) {
      this.#more += 1;
      return undefined;
    }
    const finding = { order, problem };
    this.#problems.push(finding);
    return finding;
  }

  #judge(item: Item, next: Item | undefined): void {
    this.#order += 1;
    this.#records += 1;
    const { seq } = item;
    const isSwapped = next?.seq === 1 && next.prev === NO_HASH;
    if (this.#records === 1 && item.sound && seq !== undefined && seq > 1 && !isSwapped) {
      // A later retention record may explain it.
      this.#start = new LogStart(item, seq);
      this.#expected = seq;
      this.#links = [item.prev];
    }
    this.#first ??= seq;
    this.#firstPrev ??= item.prev;
    const follows = (other: Item | undefined): boolean =>
      other?.seq === this.#expected && this.#links.includes(other.prev) && other.sound;
    if (!item.sound) {
      if (follows(next)) this.#report(item, 'inserted', 'a line that the chain knows nothing of was put in');
      else {
        const why =
          item.record === undefined
            ? 'it is not a record of this format'
            : 'its hash is not the one of what it says';
        this.#report(item, 'changed', `the record was changed: ${why}`, this.#expected);
        this.#advance(
          item,
          this.#expected,
          item.record === undefined ? [next?.prev] : [item.claimed, item.actual],
        );
      }
      return;
    }
    if (seq === this.#expected) this.#judgeNext(item, next, follows(next));
    else if ((seq as number) > this.#expected) this.#judgeLater(item, follows(next));
    else this.#judgeEarlier(item, next);
  }

  /** The record has the next number. */
  #judgeNext(item: Item, next: Item | undefined, nextFits: boolean): void {
    const seq = this.#expected;
    if (!this.#links.includes(item.prev)) {
      if (nextFits) {
        this.#report(item, 'inserted', 'a record that the chain knows nothing of was put in');
        return;
      }
      if (this.#isNamed(item, seq, next) && this.#last !== undefined)
        this.#report(
          this.#last,
          'changed',
          'the record was changed and given a new hash, which the next one does not name',
          seq - 1,
          this.#order - 1,
        );
      else
        this.#report(
          item,
          'changed',
          'the record was changed: it does not name the hash of the one before',
          seq,
        );
    }
    const early = this.#early.get(seq);
    // The record that was found too early was a copy of this one.
    if (early !== undefined) this.#early.delete(seq);
    this.#accept(item, seq);
  }

  /** Whether the next record, or what is known from elsewhere, confirms its hash. */
  #isNamed(item: Item, seq: number, next: Item | undefined): boolean {
    if (next !== undefined) return next.prev === item.claimed;
    const known = this.#known.get(seq);
    return known === undefined || known.some(({ hash }) => hash === item.claimed);
  }

  /** The record's number is higher than the next one. */
  #judgeLater(item: Item, nextFits: boolean): void {
    const seq = item.seq as number;
    if (nextFits) {
      // Whether it was moved here, or is a copy, shows later.
      const finding = this.#report(item, 'inserted', 'a record stands here that does not belong here');
      if (this.#early.size < MOST_GAPS) this.#early.set(seq, { item, finding });
      return;
    }
    const from = this.#expected;
    const moved = seq === from + 1 ? this.#early.get(from) : undefined;
    if (moved !== undefined && moved.item.claimed === item.prev) {
      this.#early.delete(from);
      reclassify(moved.finding, 'reordered', `record ${from} was moved here`);
    } else {
      const many =
        seq - from === 1 ? `record ${from} is missing` : `records ${from} to ${seq - 1} are missing`;
      const finding = this.#report(item, 'removed', `${many} before this one`, from);
      if (this.#gaps.size < MOST_GAPS) this.#gaps.set(from, { to: seq - 1, finding });
    }
    this.#accept(item, seq);
  }

  /** The record's number was seen before, or was missing. */
  #judgeEarlier(item: Item, next: Item | undefined): void {
    const seq = item.seq as number;
    for (const [from, { to, finding }] of this.#gaps) {
      if (seq < from || seq > to) continue;
      reclassify(
        finding,
        'reordered',
        `the records ${from} to ${to} stand elsewhere, or not at all: ${seq} at line ${item.line}`,
      );
      return;
    }
    const start = this.#start;
    if (start !== undefined && seq < start.seq && !start.isExplained) {
      this.#start = undefined;
      this.#report(
        start.item,
        'reordered',
        `record ${seq} stands behind this one, at line ${item.line}`,
        start.seq,
        0,
      );
      return;
    }
    const last = this.#last;
    const isRival = last !== undefined && seq === this.#expected - 1 && this.#beforeLast.includes(item.prev);
    if (isRival && next !== undefined && next.prev === item.claimed && next.prev !== last.claimed) {
      this.#report(
        last,
        'inserted',
        `two records are number ${seq}, and the chain goes on from the other`,
        seq,
        this.#order - 1,
      );
      this.#links = [item.claimed];
      this.#last = item;
      return;
    }
    this.#report(item, 'inserted', `a record with the number ${seq} stands in the log already`);
  }

  #accept(item: Item, seq: number): void {
    this.#advance(item, seq, [item.claimed]);
    const record = item.record as AuditRecord;
    for (const { from, hash, own } of this.#known.get(seq) ?? [])
      if (hash !== item.claimed)
        this.#find({
          kind: 'changed',
          ...at(item),
          seq,
          message: `${from} knows another record ${seq}: the log was written anew up to here`,
          acceptable: own,
        });
    if (record.kind === 'checkpoint') this.#checkpoint(item, record);
    else if (seq % CHECKPOINT_EVERY === 0 || seq === 1)
      this.#report(
        item,
        'wrong-key',
        'there must be a signed checkpoint here: the log was written anew without the key',
        seq,
      );
    // Whoever rewrites the log can give these members any type.
    if (isJsonObject(record.repair)) this.#repair(item, record.repair);
    this.#start?.addRetention(record);
    this.#intents.add(record);
  }

  #repair(item: Item, { found, lostSeq }: Repair): void {
    this.#repairs += 1;
    const { seq } = item;
    const why =
      found === 'lost'
        ? `the log had lost its end when this was written: it had once got to record ${lostSeq ?? '?'}`
        : found === 'no-head'
          ? 'the second head was gone when this was written: the log may have lost its end before'
          : undefined;
    if (why !== undefined)
      this.#find({ kind: 'truncated', ...at(item), seq, message: why, acceptable: true });
  }

  #checkpoint(item: Item, record: AuditRecord): void {
    this.#checkpoints += 1;
    const { seq } = record;
    const { key, publicKey, signature } = record.checkpoint ?? {};
    const isWhole = [key, publicKey, signature].every((text) => typeof text === 'string');
    const since = this.#signedTo === undefined ? 'the beginning' : `the checkpoint ${this.#signedTo}`;
    const text = signedText(record as unknown as Readonly<Record<string, unknown>>);
    if (!isWhole || !this.#trust.verify(key ?? '', publicKey ?? '', text, signature ?? ''))
      this.#report(
        item,
        'wrong-key',
        `the signature of the checkpoint is wrong: records since ${since} were written anew without the key`,
        seq,
      );
    else if (!this.#trust.accepts(key ?? ''))
      this.#report(
        item,
        'wrong-key',
        `the checkpoint is signed with another key (${key}): records since ${since} may have been written anew`,
        seq,
      );
    else {
      this.#signedTo = seq;
      this.#keys.add(key ?? '');
      this.#useCheckpoint(seq, record.checkpoint as Checkpoint);
    }
  }

  /** Uses the statements of a checkpoint with a valid signature. */
  #useCheckpoint(seq: number, checkpoint: Checkpoint): void {
    const { accepted, secondHead } = checkpoint;
    this.#secondHead = typeof secondHead === 'string' ? secondHead : undefined;
    this.#start?.addCheckpoint(seq, checkpoint);
    if (!isJsonObject(accepted)) return;
    for (let index = this.#problems.length - 1; index >= 0; index -= 1)
      if (this.#problems[index]?.problem.acceptable === true) this.#problems.splice(index, 1);
    this.#accepted = [`what was missing before checkpoint ${seq} is accepted there, by who has the key`];
  }

  #advance(item: Item, seq: number, links: readonly (string | undefined)[]): void {
    this.#beforeLast = this.#links;
    this.#last = item;
    this.#expected = seq + 1;
    this.#links = links;
  }

  #report(
    item: Item,
    kind: ProblemKind,
    message: string,
    seq = item.seq,
    order = this.#order,
  ): Mutable | undefined {
    return this.#find({ kind, ...at(item), seq, message }, order);
  }
}

function reclassify(finding: Mutable | undefined, kind: ProblemKind, message: string): void {
  if (finding !== undefined) finding.problem = { ...finding.problem, kind, message };
}

function at({ file, line }: Position): Position {
  return { file, line };
}

function group(known: readonly Known[]): Map<number, Known[]> {
  const groups = new Map<number, Known[]>();
  for (const one of known) groups.set(one.seq, [...(groups.get(one.seq) ?? []), one]);
  return groups;
}
