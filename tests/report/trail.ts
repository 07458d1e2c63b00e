/**
 * A trail of the made-up organisation, without anything wrong in it: months of reads by people and machines, with what
 * is awkward about normal life. tests/report/plants.ts puts the anomalies in.
 */
import type { AuditEvent } from '../../src/core/audit/record.ts';
import {
  DAY_MS,
  HOUR_MS,
  type Job,
  makeOrganisation,
  type Organisation,
  type Person,
  zoneOffset,
} from './organisation.ts';
import { Random } from './random.ts';

/** One access, before it is written as an event. */
export interface Entry {
  readonly ms: number;
  readonly principal: string;
  readonly secret: string;
  readonly address: string;
  readonly outcome: 'allowed' | 'denied';
  /** The plant that it belongs to; none for a normal one. */
  readonly plant?: number;
}

export interface Trail {
  readonly organisation: Organisation;
  readonly firstDay: number;
  readonly days: number;
  /** In the order of time. */
  readonly entries: readonly Entry[];
}

/** A Monday before a spring in which clocks change in two of the zones. */
const FIRST_DAY = Date.UTC(2026, 0, 12) / DAY_MS;

export function makeTrail(seed: number, days: number): Trail {
  const random = new Random(seed);
  const organisation = makeOrganisation(random, FIRST_DAY, days);
  const writer = new Writer(random, organisation, days);
  for (let day = FIRST_DAY; day < FIRST_DAY + days; day += 1) writer.day(day);
  writer.entries.sort((a, b) => a.ms - b.ms);
  return { organisation, firstDay: FIRST_DAY, days, entries: writer.entries };
}

class Writer {
  readonly entries: Entry[] = [];
  readonly #random: Random;
  readonly #organisation: Organisation;
  /** When nightly jobs get another time, a role another name, somebody another team. */
  readonly #changes = new Map<number, (() => void)[]>();

  constructor(random: Random, organisation: Organisation, days: number) {
    this.#random = random;
    this.#organisation = organisation;
    const { jobs, people, teams } = organisation;
    const later = (): number => FIRST_DAY + random.whole(20, days - 5);
    const nightly = jobs.filter(({ kind }) => kind === 'nightly');
    for (const job of random.some(nightly, Math.round(days / 90)))
      this.#at(later(), () => (job.minute = (job.minute + random.whole(60, 600)) % 1440));
    for (const job of random.some(nightly, Math.round(days / 120)))
      this.#at(later(), () => (job.name = job.name.replace('-nightly-', '-cron-')));
    for (const person of random.some(
      people.filter(({ from }) => from === FIRST_DAY),
      Math.round(days / 90),
    ))
      this.#at(later(), () => {
        person.team = random.pick(teams.filter((team) => team !== person.team));
        person.uses.push(...random.some(person.team.secrets, 3));
      });
  }

  #at(day: number, change: () => void): void {
    this.#changes.set(day, [...(this.#changes.get(day) ?? []), change]);
  }

  day(day: number): void {
    for (const change of this.#changes.get(day) ?? []) change();
    const { people, jobs } = this.#organisation;
    for (const person of people) if (day >= person.from && day < person.until) this.#person(person, day);
    for (const job of jobs) if (day >= job.from && day < job.until) this.#job(job, day);
    this.#onCall(day);
  }

  #add(
    ms: number,
    principal: string,
    secret: string,
    address: string,
    outcome: Entry['outcome'] = 'allowed',
  ): void {
    this.entries.push({ ms: Math.round(ms), principal, secret, address, outcome });
  }

  #isWorkday(zone: string, day: number): boolean {
    // Day 0 was a Thursday.
    const weekday = (day + 3) % 7;
    return weekday < 5 && this.#organisation.holidays.get(zone)?.has(day) !== true;
  }

  #person(person: Person, day: number): void {
    const random = this.#random;
    if (person.away.some(([from, to]) => day >= from && day < to)) return;
    const works = this.#isWorkday(person.zone, day) || random.chance(0.02);
    if (!works) return;
    const address = this.#placeOf(person, day);
    const midnight = day * DAY_MS - zoneOffset(person.zone, day);
    // Now and then somebody stays late, or starts before everybody else.
    const late = random.chance(0.03) ? random.between(1, 4) : 0;
    const early = random.chance(0.02) ? random.between(0.5, 2) : 0;
    const { team } = person;
    if (random.chance(0.06) && person.uses.length < team.secrets.length) {
      // One gets to know the team's other secrets.
      const next = random.pick(team.secrets);
      if (!person.uses.includes(next)) person.uses.push(next);
    }
    const count = random.poisson(person.readsPerDay);
    for (let n = 0; n < count; n += 1) {
      const hour = random.between(person.begins - early, person.ends + late);
      // Lunch.
      if (hour > 12 && hour < 13 && random.chance(0.7)) continue;
      const at = midnight + hour * HOUR_MS;
      const secret = random.chance(0.05)
        ? random.pick(this.#organisation.shared)
        : (person.uses[Math.floor(random.next() ** 2 * person.uses.length)] as string);
      this.#add(at, person.name, secret, address());
      // What is done by hand is often done twice.
      if (random.chance(0.2)) this.#add(at + random.between(2, 90) * 1000, person.name, secret, address());
    }
    // `secrets env` of a whole project.
    if (random.chance(0.03)) {
      const at = midnight + random.between(person.begins, person.ends) * HOUR_MS;
      for (const secret of person.uses)
        this.#add(at + random.between(0, 3000), person.name, secret, address());
    }
    // A wrong name, or a secret of another team.
    if (random.chance(0.05)) {
      const other = random.pick(random.pick(this.#organisation.teams).secrets);
      if (!person.uses.includes(other) && !team.secrets.includes(other)) {
        const at = midnight + random.between(person.begins, person.ends) * HOUR_MS;
        for (let n = random.whole(1, 3); n > 0; n -= 1)
          this.#add(at + n * 20_000, person.name, other, address(), 'denied');
      }
    }
  }

  #placeOf(person: Person, day: number): () => string {
    const random = this.#random;
    if (person.trip !== undefined && day >= person.trip.until) person.trip = undefined;
    if (person.trip === undefined && random.chance(person.traveller ? 0.1 : 1 / 500)) {
      // A hotel or a mobile network; most go through the VPN even then.
      const site = random.chance(0.5)
        ? person.team.vpn
        : `${random.pick([37, 62, 80, 109, 151, 176, 188, 212])}.${random.whole(0, 255)}.${random.whole(0, 255)}`;
      person.trip = { site, until: day + random.whole(2, 5) };
    }
    const { home } = person;
    if (day >= home.until) {
      home.site = random.whole(0, 255);
      home.until = day + random.whole(5, 25);
      // Somebody changes the provider once in a while.
      if (random.chance(0.01)) home.provider = random.pick(person.team.homes);
    }
    const site =
      person.trip?.site ??
      // Who is new comes to the office first, as a rule.
      (random.chance(day - person.from < 5 && person.from > FIRST_DAY ? 0.2 : person.homeShare)
        ? `${home.provider}.${home.site}`
        : random.chance(0.2)
          ? person.team.vpn
          : person.team.office);
    const six = person.six && site.startsWith(home.provider);
    const host = random.whole(1, 254);
    if (six) {
      const [a = '0', b = '0', c = '0'] = site.split('.');
      return () => `2a0${Number(a) % 10}:${b}:${c}::${host.toString(16)}`;
    }
    // An office has many addresses.
    return () => `${site}.${random.chance(0.8) ? host : random.whole(1, 254)}`;
  }

  #job(job: Job, day: number): void {
    const random = this.#random;
    const { exits, move } = this.#organisation;
    const sites =
      job.region === move.region && day >= move.day ? move.to : (exits[job.region] as readonly string[]);
    const address = (): string => `${random.pick(sites)}.${random.whole(1, 254)}`;
    const midnight = day * DAY_MS;
    const all = (at: number, gap: number): void => {
      for (const [n, secret] of job.uses.entries())
        this.#add(at + n * gap + random.between(0, gap), job.name, secret, address());
    };
    const workday = this.#isWorkday(job.team.zone, day);
    switch (job.kind) {
      case 'nightly': {
        const shift = job.local ? zoneOffset(job.team.zone, day) : 0;
        all(midnight - shift + job.minute * 60_000 + random.between(0, 90_000), 800);
        // It fails and runs again.
        if (random.chance(0.03)) all(midnight - shift + (job.minute + 30) * 60_000, 800);
        break;
      }
      case 'backup':
        if ((day + 3) % 7 === 6) all(midnight + job.minute * 60_000, 40);
        break;
      case 'poller':
        for (let n = 0; n < 24 * job.pace; n += 1)
          this.#add(
            midnight + ((n + 0.3) / (24 * job.pace)) * DAY_MS + random.between(0, 5000),
            job.name,
            job.uses[n % job.uses.length] as string,
            address(),
          );
        break;
      case 'deploy': {
        const offset = zoneOffset(job.team.zone, day);
        let runs = workday ? random.poisson(job.pace) : random.chance(0.05) ? 1 : 0;
        // A bad day: one hot fix after the other, into the night.
        const bad = workday && random.chance(job.wild ? 0.04 : 0.01);
        if (bad) runs += random.whole(4, 14);
        for (let n = 0; n < runs; n += 1)
          all(
            midnight - offset + random.between(9, bad ? 22 : random.chance(0.1) ? 20 : 17.5) * HOUR_MS,
            500,
          );
        // A policy was rolled out that is wrong: what worked is refused, and tried again.
        if (random.chance(0.003)) {
          const at = midnight - offset + random.between(9, 18) * HOUR_MS;
          for (let n = random.whole(3, 12); n > 0; n -= 1)
            for (const secret of job.uses)
              this.#add(at + n * 30_000 + random.between(0, 5000), job.name, secret, address(), 'denied');
        }
        break;
      }
      case 'service': {
        // Containers that start: a few by themselves, many when the load or a deploy asks for them.
        for (let n = random.poisson(job.pace); n > 0; n -= 1) all(midnight + random.between(0, DAY_MS), 300);
        if (random.chance(workday ? 0.25 : 0.08)) {
          const at = midnight + random.between(0, DAY_MS);
          const count = Math.min(60, Math.round(random.logNormal(job.wild ? 8 : 5, 0.5)));
          for (let n = 0; n < count; n += 1) all(at + random.between(0, 20 * 60_000), 300);
        }
        // One that crashes at its start, and is started again and again.
        if (random.chance(0.004)) {
          const at = midnight + random.between(0, DAY_MS);
          for (let n = 0; n < 20; n += 1) all(at + n * 60_000, 300);
        }
        // A new secret that nobody has allowed it yet.
        if (random.chance(0.002)) {
          const secret = random.pick(job.team.secrets);
          const at = midnight + random.between(0, DAY_MS);
          if (!job.uses.includes(secret))
            for (let n = random.whole(5, 60); n > 0; n -= 1)
              this.#add(at + n * 15_000, job.name, secret, address(), 'denied');
        }
        break;
      }
    }
  }

  /** One of those who can be called, a week each: called out at night now and then, for any team's trouble. */
  #onCall(day: number): void {
    const random = this.#random;
    const { people, teams } = this.#organisation;
    const rota = people.filter(({ onCall, until }) => onCall && day < until);
    const person = rota[Math.floor(day / 7) % Math.max(1, rota.length)];
    if (person === undefined || !random.chance(0.15)) return;
    const at = day * DAY_MS - zoneOffset(person.zone, day) + random.between(-2, 6) * HOUR_MS;
    const address = `${person.home.provider}.${person.home.site}.${random.whole(1, 254)}`;
    const mine = random.chance(0.7) ? person.uses : random.pick(teams).secrets.slice(0, 4);
    for (const secret of random.some(mine, random.whole(1, 3)))
      this.#add(at + random.between(0, 15 * 60_000), person.name, secret, address);
  }
}

export function eventOf({ ms, principal, secret, address, outcome }: Entry): AuditEvent {
  return {
    time: new Date(ms).toISOString(),
    origin: 'cloudtrail',
    action: 'read',
    outcome,
    actor: { principal },
    store: 'prod',
    secret,
    address,
  };
}
