/**
 * Stores events compactly, so that a million fit into memory (about 30 bytes each): columns of numbers, and each name
 * only once. Events are added in any order, from several sources, and iterated by time.
 */
import type { AuditEvent } from '../audit/record.ts';
import { networkOf } from './network.ts';

/** One access, as the detectors see it: names are numbers. */
export interface Access {
  /** Milliseconds since 1970. */
  readonly ms: number;
  readonly principal: number;
  /** Number of a store and name; -1 for an access to no particular secret. */
  readonly secret: number;
  /** -1 if unknown. */
  readonly network: number;
  readonly read: boolean;
  readonly outcome: 'allowed' | 'denied' | 'failed';
}

const OUTCOMES = ['allowed', 'denied', 'failed'] as const;

/** Maps names to numbers and back. */
export class Names {
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];

  numberOf(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const number = this.#names.push(name) - 1;
    this.#numbers.set(name, number);
    return number;
  }

  nameOf(number: number): string {
    return this.#names[number] ?? '';
  }

  get size(): number {
    return this.#names.length;
  }
}

const SEPARATOR = '\n';

export class EventTable {
  readonly principals = new Names();
  readonly networks = new Names();
  readonly #secrets = new Names();
  readonly #limit: number;
  readonly #origins = new Map<string, number>();
  readonly #requests = new Set<string>();
  #length = 0;
  #sorted = true;
  #dropped = 0;
  #times = new Float64Array(1024);
  #who = new Int32Array(1024);
  #what = new Int32Array(1024);
  #where = new Int32Array(1024);
  #kind = new Uint8Array(1024);

  /** @param limit the number of events to keep; further events are only counted */
  constructor(limit = 2_000_000) {
    this.#limit = limit;
  }

  get length(): number {
    return this.#length;
  }

  /** The number of events beyond the limit. */
  get dropped(): number {
    return this.#dropped;
  }

  get origins(): ReadonlyMap<string, number> {
    return this.#origins;
  }

  /**
   * Adds an event. An event whose request id was seen before is the same access from another source and is left out:
   * add the service's trail, which includes the address, before our own log.
   * @param store used if the event doesn't name one
   */
  add(event: AuditEvent, store = event.store ?? ''): void {
    const ms = Date.parse(event.time);
    if (Number.isNaN(ms)) return;
    if (event.requestId !== undefined) {
      const id = `${event.requestId}${SEPARATOR}${event.secret ?? ''}`;
      if (this.#requests.has(id)) return;
      if (this.#requests.size < this.#limit) this.#requests.add(id);
    }
    if (this.#length === this.#limit) {
      this.#dropped += 1;
      return;
    }
    this.#origins.set(event.origin, (this.#origins.get(event.origin) ?? 0) + 1);
    const { actor, secret, host, address } = event;
    const place = address === undefined ? (host === undefined ? undefined : `machine ${host}`) : address;
    const network = place === undefined ? -1 : this.#networkOf(place);
    const read = event.action === 'read' ? 4 : 0;
    const at = this.#length;
    if (at === this.#times.length) this.#grow();
    if (at > 0 && ms < (this.#times[at - 1] as number)) this.#sorted = false;
    this.#times[at] = ms;
    this.#who[at] = this.principals.numberOf(actor.principal ?? actor.user ?? 'somebody unknown');
    this.#what[at] = secret === undefined ? -1 : this.secretOf(store, secret);
    this.#where[at] = network;
    this.#kind[at] = read | OUTCOMES.indexOf(event.outcome === 'unknown' ? 'failed' : event.outcome);
    this.#length += 1;
  }

  #networkOf(place: string): number {
    const { site, provider } = networkOf(place);
    return this.networks.numberOf(`${site}${SEPARATOR}${provider}`);
  }

  #grow(): void {
    const size = this.#times.length * 2;
    const grown = <T extends Float64Array | Int32Array | Uint8Array>(old: T, next: T): T => {
      next.set(old);
      return next;
    };
    this.#times = grown(this.#times, new Float64Array(size));
    this.#who = grown(this.#who, new Int32Array(size));
    this.#what = grown(this.#what, new Int32Array(size));
    this.#where = grown(this.#where, new Int32Array(size));
    this.#kind = grown(this.#kind, new Uint8Array(size));
  }

  secretOf(store: string, name: string): number {
    return this.#secrets.numberOf(`${store}${SEPARATOR}${name}`);
  }

  secretName(number: number): { readonly store: string; readonly secret: string } {
    const text = this.#secrets.nameOf(number);
    const end = text.indexOf(SEPARATOR);
    return { store: text.slice(0, end), secret: text.slice(end + 1) };
  }

  networkName(number: number): { readonly site: string; readonly provider: string } {
    const [site = '', provider = ''] = this.networks.nameOf(number).split(SEPARATOR);
    return { site, provider };
  }

  /** All events, oldest first. */
  *byTime(): Generator<Access> {
    const order = this.#sorted ? undefined : this.#order();
    for (let n = 0; n < this.#length; n += 1) {
      const at = order === undefined ? n : (order[n] as number);
      const kind = this.#kind[at] as number;
      yield {
        ms: this.#times[at] as number,
        principal: this.#who[at] as number,
        secret: this.#what[at] as number,
        network: this.#where[at] as number,
        read: (kind & 4) !== 0,
        outcome: OUTCOMES[kind & 3] as Access['outcome'],
      };
    }
  }

  #order(): Uint32Array {
    const order = new Uint32Array(this.#length);
    for (let n = 0; n < order.length; n += 1) order[n] = n;
    const times = this.#times;
    return order.sort((a, b) => (times[a] as number) - (times[b] as number) || a - b);
  }
}
