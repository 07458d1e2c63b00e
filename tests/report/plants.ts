/**
 * Anomalies, put into a trail that has none: of each kind that a rule is for, and of some that no rule is expected to
 * see. They are told by what an intruder does, not by what a detector looks at: who, when and how much are drawn by lot.
 */
import type { RuleId } from '../../src/core/findings/rules.ts';
import { DAY_MS, HOUR_MS, type Job, type Person, zoneOffset } from './organisation.ts';
import { Random } from './random.ts';
import type { Entry, Trail } from './trail.ts';

/** What no rule is expected to see: counted apart. */
export type Blind = 'slow' | 'colleague' | 'newcomer' | 'traveller';

export interface Plant {
  readonly number: number;
  readonly kind: RuleId | Blind;
  readonly principal: string;
  readonly from: number;
  readonly to: number;
}

export const KINDS: readonly RuleId[] = [
  'new-principal',
  'new-network',
  'odd-hours',
  'high-rate',
  'denial-burst',
  'bulk-read',
  'honey-read',
];
export const BLIND: readonly Blind[] = ['slow', 'colleague', 'newcomer', 'traveller'];

export interface PlantedTrail {
  readonly trail: Trail;
  readonly entries: readonly Entry[];
  readonly plants: readonly Plant[];
  /** Normal ones among the entries. */
  readonly normal: number;
}

/** @param each plants of each kind */
export function plantInto(trail: Trail, seed: number, each: number): PlantedTrail {
  const planter = new Planter(trail, new Random(seed ^ 0x5eed));
  for (const kind of KINDS) for (let n = 0; n < each; n += 1) planter.plant(kind, n);
  for (const kind of BLIND) for (let n = 0; n < Math.ceil(each / 3); n += 1) planter.plant(kind, n);
  const entries = [...trail.entries, ...planter.entries].sort((a, b) => a.ms - b.ms);
  return { trail, entries, plants: planter.plants, normal: trail.entries.length };
}

/** What an intruder, or whoever plants one, can know of a principal. */
interface Known {
  readonly name: string;
  readonly secrets: Map<string, number>;
  readonly addresses: string[];
  readonly days: Set<number>;
  /** Reads in each hour with any. */
  readonly hours: Map<number, number>;
  /** Most different secrets in ten minutes (by the clock). */
  most: number;
}

class Planter {
  readonly entries: Entry[] = [];
  readonly plants: Plant[] = [];
  readonly #trail: Trail;
  readonly #random: Random;
  readonly #known = new Map<string, Known>();
  readonly #readers = new Map<string, Set<string>>();
  readonly #reads = new Map<string, number>();
  readonly #used = new Set<string>();
  readonly #people: ReadonlyMap<string, Person>;
  readonly #jobs: ReadonlyMap<string, Job>;

  constructor(trail: Trail, random: Random) {
    this.#trail = trail;
    this.#random = random;
    this.#people = new Map(trail.organisation.people.map((person) => [person.name, person]));
    this.#jobs = new Map(trail.organisation.jobs.map((job) => [job.name, job]));
    const bursts = new Map<string, { at: number; secrets: Set<string> }>();
    for (const { ms, principal, secret, address, outcome } of trail.entries) {
      if (outcome === 'denied') continue;
      let known = this.#known.get(principal);
      if (known === undefined) {
        known = {
          name: principal,
          secrets: new Map(),
          addresses: [],
          days: new Set(),
          hours: new Map(),
          most: 0,
        };
        this.#known.set(principal, known);
      }
      known.secrets.set(secret, (known.secrets.get(secret) ?? 0) + 1);
      if (known.addresses.length < 200) known.addresses.push(address);
      known.days.add(Math.floor(ms / DAY_MS));
      const hour = Math.floor(ms / HOUR_MS);
      known.hours.set(hour, (known.hours.get(hour) ?? 0) + 1);
      const at = Math.floor(ms / 600_000);
      let burst = bursts.get(principal);
      if (burst?.at !== at) {
        burst = { at, secrets: new Set() };
        bursts.set(principal, burst);
      }
      burst.secrets.add(secret);
      known.most = Math.max(known.most, burst.secrets.size);
      this.#readers.set(secret, (this.#readers.get(secret) ?? new Set()).add(principal));
      this.#reads.set(secret, (this.#reads.get(secret) ?? 0) + 1);
    }
  }

  plant(kind: Plant['kind'], n: number): void {
    const work: Record<Plant['kind'], (() => void) | undefined> = {
      'new-principal': () => this.#newPrincipal(n % 3),
      'new-network': () =>
        this.#newNetwork('new-network', ({ name }) => this.#people.get(name)?.traveller !== true),
      'odd-hours': () => this.#oddHours(),
      'high-rate': () => this.#highRate(),
      'denial-burst': () => this.#denials(),
      'bulk-read': () => this.#bulk(),
      'honey-read': () => this.#honey(),
      slow: () => this.#slow(),
      colleague: () => this.#colleague(),
      newcomer: () => this.#newcomer(),
      traveller: () =>
        this.#newNetwork('traveller', ({ name }) => this.#people.get(name)?.traveller === true),
    } as Record<Plant['kind'], (() => void) | undefined>;
    work[kind]?.();
  }

  /** Somebody who has been there for a while at that time, and whom nothing else is planted for. */
  #somebody(
    fits: (known: Known) => boolean = () => true,
  ): { readonly known: Known; readonly day: number } | undefined {
    const random = this.#random;
    const { firstDay, days } = this.#trail;
    for (let attempt = 0; attempt < 500; attempt += 1) {
      const day = firstDay + random.whole(Math.ceil(days / 3), days - 3);
      const known = random.pick([...this.#known.values()]);
      const earlier = [...known.days].filter((active) => active < day).length;
      const there = [...known.days].some((active) => active >= day);
      if (earlier < 15 || !there || this.#used.has(known.name) || !fits(known)) continue;
      this.#used.add(known.name);
      return { known, day };
    }
    return undefined;
  }

  #record(
    kind: Plant['kind'],
    principal: string,
    entries: readonly Omit<Entry, 'plant' | 'principal'>[],
  ): void {
    const number = this.plants.length;
    const times = entries.map(({ ms }) => Math.round(ms));
    this.plants.push({ number, kind, principal, from: Math.min(...times), to: Math.max(...times) });
    for (const entry of entries)
      this.entries.push({ ...entry, ms: Math.round(entry.ms), principal, plant: number });
  }

  /** A time at which this principal is at work on some day from then on. */
  #usualTime(known: Known, day: number): number {
    const hours = [...known.hours.keys()].filter((hour) => Math.floor((hour * HOUR_MS) / DAY_MS) >= day);
    const hour = hours.length === 0 ? day * 24 + 12 : this.#random.pick(hours.slice(0, 60));
    return hour * HOUR_MS + this.#random.between(0, 50 * 60_000);
  }

  #foreign(): string {
    const random = this.#random;
    return `${random.pick([5, 31, 45, 77, 141, 185, 193])}.${random.whole(0, 255)}.${random.whole(0, 255)}.${random.whole(1, 254)}`;
  }

  /** A secret that is in use: ten reads, since its first month. */
  #targets(fits: (secret: string) => boolean): readonly string[] {
    const { shared } = this.#trail.organisation;
    return [...this.#reads.keys()].filter(
      (secret) =>
        (this.#reads.get(secret) ?? 0) >= 40 &&
        !/\/new-/.test(secret) &&
        !shared.includes(secret) &&
        fits(secret),
    );
  }

  #newPrincipal(way: number): void {
    const random = this.#random;
    const take = (secrets: readonly string[], at: number, principal: string, address: string): void =>
      this.#record(
        'new-principal',
        principal,
        random.some(secrets, random.whole(1, 3)).map((secret, n) => ({
          ms: at + n * random.between(5000, 60_000),
          secret,
          address,
          outcome: 'allowed' as const,
        })),
      );
    if (way === 0) {
      // A credential of one team is used for the secrets of another.
      const found = this.#somebody(({ name }) => this.#jobs.get(name)?.kind !== 'backup');
      if (found === undefined) return;
      const { known, day } = found;
      const own = new Set([...known.secrets.keys()].map((secret) => secret.split('/')[0]));
      const team = random.pick(this.#trail.organisation.teams.filter(({ name }) => !own.has(name)));
      if (team === undefined) return;
      const secrets = this.#targets((secret) => secret.startsWith(`${team.name}/`));
      take(secrets, this.#usualTime(known, day), known.name, random.pick(known.addresses));
      return;
    }
    const { firstDay, days } = this.#trail;
    const at = (firstDay + random.whole(Math.ceil(days / 3), days - 3) + random.next()) * DAY_MS;
    const principal = `arn:aws:sts::123456789012:assumed-role/unknown-${this.plants.length}/session`;
    const team = random.pick(this.#trail.organisation.teams);
    const inTeam = (secret: string): boolean => secret.startsWith(`${team.name}/`);
    // Made by an intruder: from somewhere else, or from inside for what one or two machines read.
    const closed = this.#targets((secret) => (this.#readers.get(secret)?.size ?? 0) <= 2);
    if (way === 1 || closed.length === 0) take(this.#targets(inTeam), at, principal, this.#foreign());
    else take(closed, at, principal, `${random.pick(random.pick(this.#trail.organisation.exits))}.7`);
  }

  #own(known: Known, count: number): readonly string[] {
    return this.#random.some([...known.secrets.keys()], count);
  }

  #newNetwork(kind: Plant['kind'], fits: (known: Known) => boolean): void {
    const found = this.#somebody(fits);
    if (found === undefined) return;
    const { known, day } = found;
    const at = this.#usualTime(known, day);
    const address = this.#foreign();
    this.#record(
      kind,
      known.name,
      this.#own(known, this.#random.whole(1, 6)).map((secret, n) => ({
        ms: at + n * 3000,
        secret,
        address,
        outcome: 'allowed',
      })),
    );
  }

  /** In the middle of the night, for people; at any time that is far from its own, for a machine. */
  #oddHours(): void {
    const found = this.#somebody(({ name }) => {
      const job = this.#jobs.get(name);
      return this.#people.has(name) || job?.kind === 'nightly' || job?.kind === 'deploy';
    });
    if (found === undefined) return;
    const random = this.#random;
    const { known, day } = found;
    const person = this.#people.get(known.name);
    const job = this.#jobs.get(known.name);
    const zone = person?.zone ?? job?.team.zone ?? 'Europe/Berlin';
    const offset = job?.kind === 'nightly' && !job.local ? 0 : zoneOffset(zone, day);
    const hour = job?.kind === 'nightly' ? job.minute / 60 + random.between(6, 18) : random.between(1.5, 4.5);
    const at = day * DAY_MS - offset + hour * HOUR_MS;
    const address = random.pick(known.addresses);
    this.#record(
      'odd-hours',
      known.name,
      this.#own(known, random.whole(1, 4)).map((secret, n) => ({
        ms: at + n * 5000,
        secret,
        address,
        outcome: 'allowed',
      })),
    );
  }

  /** Ten to thirty times what a busy hour of it (the 95th percentile) has. */
  #highRate(): void {
    const found = this.#somebody();
    if (found === undefined) return;
    const random = this.#random;
    const { known, day } = found;
    const counts = [...known.hours.values()].sort((a, b) => a - b);
    const busy = counts[Math.floor(counts.length * 0.95)] ?? 1;
    const count = Math.max(100, Math.round(busy * random.between(10, 30)));
    const at = this.#usualTime(known, day);
    const secrets = this.#own(known, random.whole(1, 5));
    const address = random.pick(known.addresses);
    const span = random.between(5, 50) * 60_000;
    this.#record(
      'high-rate',
      known.name,
      Array.from({ length: count }, (_, n) => ({
        ms: at + (n / count) * span,
        secret: secrets[n % secrets.length] as string,
        address,
        outcome: 'allowed' as const,
      })),
    );
  }

  #denials(): void {
    const found = this.#somebody(({ name }) => this.#jobs.get(name)?.kind !== 'backup');
    if (found === undefined) return;
    const random = this.#random;
    const { known, day } = found;
    const at = this.#usualTime(known, day);
    const address = random.pick(known.addresses);
    const others = [...this.#reads.keys()].filter((secret) => !known.secrets.has(secret));
    this.#record(
      'denial-burst',
      known.name,
      random.some(others, random.whole(8, 30)).map((secret) => ({
        ms: at + random.between(0, 8 * 60_000),
        secret,
        address,
        outcome: 'denied',
      })),
    );
  }

  /** At least 25 secrets and four times what it reads at once: nobody can tell one who reads everything anyway. */
  #bulk(): void {
    const all = [...this.#reads.keys()];
    const found = this.#somebody(({ most }) => most * 4 <= 60);
    if (found === undefined) return;
    const random = this.#random;
    const { known, day } = found;
    const at = this.#usualTime(known, day);
    const address = random.pick(known.addresses);
    const count = Math.max(random.whole(25, 80), known.most * 4);
    const span = random.between(0.5, 9) * 60_000;
    this.#record(
      'bulk-read',
      known.name,
      random.some(all, count).map((secret) => ({
        ms: at + random.between(0, span),
        secret,
        address,
        outcome: 'allowed',
      })),
    );
  }

  #honey(): void {
    const found = this.#somebody();
    if (found === undefined) return;
    const { known, day } = found;
    const { honey } = this.#trail.organisation;
    this.#record('honey-read', known.name, [
      {
        ms: this.#usualTime(known, day),
        secret: this.#random.pick(honey),
        address: this.#random.pick(known.addresses),
        outcome: this.#random.chance(0.5) ? 'allowed' : 'denied',
      },
    ]);
  }

  /** One secret of its own team after the other, an hour apart. */
  #slow(): void {
    const found = this.#somebody(({ name }) => this.#people.has(name));
    if (found === undefined) return;
    const { known, day } = found;
    const team = this.#people.get(known.name)?.team;
    const at = this.#usualTime(known, day);
    this.#record(
      'slow',
      known.name,
      (team?.secrets ?? []).slice(0, 6).map((secret, n) => ({
        ms: at + n * 23 * HOUR_MS,
        secret,
        address: known.addresses.at(-1) ?? '',
        outcome: 'allowed',
      })),
    );
  }

  /** Somebody reads a secret of the own team that they have no business with. */
  #colleague(): void {
    const found = this.#somebody(({ name }) => this.#people.has(name));
    if (found === undefined) return;
    const { known, day } = found;
    const team = this.#people.get(known.name)?.team;
    const secret = team?.secrets.find((name) => !known.secrets.has(name)) ?? team?.secrets[0] ?? '';
    this.#record('colleague', known.name, [
      { ms: this.#usualTime(known, day), secret, address: known.addresses.at(-1) ?? '', outcome: 'allowed' },
    ]);
  }

  /** A principal that an intruder made, from the office, for a secret that many people read. */
  #newcomer(): void {
    const random = this.#random;
    const { firstDay, days, organisation } = this.#trail;
    const team = random.pick(organisation.teams);
    const [secret] = random.some(
      this.#targets((name) => name.startsWith(`${team.name}/`) && (this.#readers.get(name)?.size ?? 0) > 3),
      1,
    );
    if (secret === undefined) return;
    const ms = (firstDay + random.whole(Math.ceil(days / 3), days - 3) + 0.5) * DAY_MS;
    this.#record('newcomer', `newcomer-${this.plants.length}@example.com`, [
      { ms, secret, address: `${team.office}.9`, outcome: 'allowed' },
    ]);
  }
}
