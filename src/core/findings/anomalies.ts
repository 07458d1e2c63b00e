/**
 * Anomaly detectors: pure functions over accesses in time order. They report what is unusual, with the numbers that
 * make it so. Each access is judged by what came before it, and then learned. docs/audit-report.md describes what
 * each detector looks at and what it can't see.
 */
import type { Access, EventTable } from './events.ts';
import type { Finding } from './finding.ts';
import type { AnomalyParameters } from './parameters.ts';
import { FindingsOfDays } from './findings-of-days.ts';
import { Principal, remember, Secret } from './profiles.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** The most readers of a secret that are compared with a new one. */
const MOST_COMPARED = 300;
/** A secret with at most this many readers isn't one that people come across by chance. */
const CLOSED_READERS = 2;

export class Detectors {
  readonly #parameters: AnomalyParameters;
  readonly #table: EventTable;
  readonly #isHoney: (secret: number) => boolean;
  readonly #principals = new Map<number, Principal>();
  readonly #secrets = new Map<number, Secret>();
  /** The principals that came from each provider's network. */
  readonly #providers = new Map<number, Set<number>>();
  readonly #providerOf: number[] = [];
  readonly #providerNumbers = new Map<string, number>();
  readonly #found: FindingsOfDays;
  #first = Number.NaN;
  #last = Number.NaN;

  constructor(table: EventTable, parameters: AnomalyParameters, isHoney: (secret: number) => boolean) {
    this.#table = table;
    this.#found = new FindingsOfDays(table);
    this.#parameters = parameters;
    this.#isHoney = isHoney;
  }

  /** Takes the next access, in time order. */
  next(access: Access): void {
    if (Number.isNaN(this.#first)) this.#first = access.ms;
    this.#last = access.ms;
    if (!access.read || access.secret === -1) return;
    if (this.#isHoney(access.secret)) this.#honey(access);
    if (access.outcome === 'failed') return;
    let principal = this.#principals.get(access.principal);
    if (principal === undefined) {
      principal = new Principal(access.ms, this.#parameters);
      this.#principals.set(access.principal, principal);
    }
    if (access.outcome === 'denied') {
      this.#denied(access, principal);
      return;
    }
    let secret = this.#secrets.get(access.secret);
    if (secret === undefined) {
      secret = new Secret(access.ms);
      this.#secrets.set(access.secret, secret);
    }
    const provider = access.network === -1 ? -1 : this.#providerNumber(access.network);
    this.#newPrincipal(access, principal, secret, provider);
    if (provider !== -1) this.#newNetwork(access, principal, secret, provider);
    this.#oddHours(access, principal);
    this.#rate(access, principal);
    this.#bulk(access, principal, secret);
    this.#learn(access, principal, secret, provider);
  }

  #learn(
    { ms, principal: who, secret: what, network }: Access,
    p: Principal,
    s: Secret,
    provider: number,
  ): void {
    p.reads += 1;
    p.noteTime(ms);
    remember(p.secrets, what);
    s.reads += 1;
    s.noteTime(ms);
    remember(s.readers, who);
    if (provider === -1) return;
    remember(p.sites, network);
    if (!p.providers.has(provider)) {
      if (p.days > FIRST_DAYS) p.newProviders += 1;
      remember(p.providers, provider);
      let others = this.#providers.get(provider);
      if (others === undefined) {
        others = new Set();
        this.#providers.set(provider, others);
      }
      remember(others, who);
    }
    remember(s.providers, provider);
  }

  #honey(access: Access): void {
    this.#found.add(
      'honey-read',
      access,
      access.secret,
      (who) =>
        `${who} ${access.outcome === 'allowed' ? 'read' : 'asked for'} it, and nothing has a reason to`,
      { outcome: access.outcome },
    );
  }

  #denied(access: Access, p: Principal): void {
    // Being refused what was allowed before indicates a broken policy, not an attempt to break in.
    if (p.secrets.has(access.secret)) return;
    const { denialSecrets, burstMs } = this.#parameters;
    const count = p.denied.add(access.ms, access.secret);
    if (count < denialSecrets || count <= 2 * p.denied.most || !this.#storeIsLearned(access.ms)) return;
    p.denied.report();
    this.#found.add(
      'denial-burst',
      access,
      undefined,
      (who) =>
        `${who} was refused ${count} different secrets, which it never had, within ${minutes(burstMs)}; ` +
        `${p.denied.most} were the most before, ${denialSecrets} are called a burst`,
      { observed: count, baseline: p.denied.most, threshold: denialSecrets },
      () => p.denied.things,
    );
  }

  #newPrincipal(access: Access, p: Principal, s: Secret, provider: number): void {
    const { learnMs, minReads } = this.#parameters;
    if (s.readers.has(access.principal)) return;
    if (access.ms - s.first < learnMs || s.reads < minReads) return;
    // A principal that has been active for some days has shown which networks it comes from.
    const fresh = access.ms - p.first < 2 * DAY_MS;
    const unknownPlace =
      fresh && provider !== -1 && this.#storeIsLearned(access.ms) && this.#isOnly(provider, access.principal);
    if (unknownPlace) {
      this.#reportPrincipal(access, s, 'from a network that nobody had come from');
      return;
    }
    if (this.#isBroad(s)) return;
    const known = [...p.secrets].filter((other) => {
      const secret = this.#secrets.get(other);
      return secret !== undefined && !this.#isBroad(secret) && !(secret.readers.size === 1);
    });
    if (known.length === 0) {
      // A new colleague starts with a secret that colleagues read; a secret that belongs to one machine isn't anybody's
      // first.
      if (s.readers.size <= CLOSED_READERS + 5 && this.#readersOf(s) <= CLOSED_READERS)
        this.#reportPrincipal(access, s, `which ${s.readers.size} had read until then`);
      return;
    }
    if (!this.#hasCompany(s, known, access.principal))
      this.#reportPrincipal(access, s, 'and shares no other secret with those who do');
  }

  #reportPrincipal(access: Access, s: Secret, why: string): void {
    const days = Math.floor((access.ms - s.first) / DAY_MS);
    this.#found.add(
      'new-principal',
      access,
      access.secret,
      (who) =>
        `${who} read it for the first time, ${why}: ${s.readers.size} in ${s.reads} reads and ${days} days`,
      { readers: s.readers.size, reads: s.reads, days, threshold: this.#parameters.minReads, why },
    );
  }

  /** Whether enough of its readers also read one of these secrets. */
  #hasCompany(s: Secret, secrets: readonly number[], besides: number): boolean {
    let [compared, company] = [0, 0];
    for (const reader of s.readers) {
      const other = this.#principals.get(reader);
      if (reader === besides || other === undefined || this.#isHub(other)) continue;
      compared += 1;
      if (secrets.some((secret) => other.secrets.has(secret))) company += 1;
      if (compared === MOST_COMPARED) break;
    }
    // Those on call at night know secrets of every team, so sharing one with them means nothing.
    return company > 0 && company >= this.#parameters.companyShare * compared;
  }

  /** A principal that reads so much that sharing a secret with it means nothing: a backup. */
  #isHub(p: Principal): boolean {
    return p.secrets.size > Math.max(20, this.#secrets.size / 4);
  }

  /** The number of readers, not counting hubs. */
  #readersOf(s: Secret): number {
    let count = 0;
    for (const reader of s.readers) {
      const other = this.#principals.get(reader);
      if (other === undefined || !this.#isHub(other)) count += 1;
    }
    return count;
  }

  #isBroad(s: Secret): boolean {
    return s.readers.size > Math.max(8, this.#parameters.broadShare * this.#principals.size);
  }

  #isOnly(provider: number, principal: number): boolean {
    const others = this.#providers.get(provider);
    return others === undefined || (others.size === 1 && others.has(principal));
  }

  #storeIsLearned(ms: number): boolean {
    return ms - this.#first >= this.#parameters.learnMs;
  }

  #newNetwork(access: Access, p: Principal, s: Secret, provider: number): void {
    const { minDays, minReads, learnMs, travelRate } = this.#parameters;
    if (p.providers.has(provider) || p.sites.has(access.network)) return;
    if (p.days < minDays || p.reads < minReads || access.ms - p.first < learnMs) return;
    if (s.providers.has(provider) && !this.#isBroad(s)) return;
    const rate = p.newProviders / Math.max(1, p.days - FIRST_DAYS);
    if (rate > travelRate) return;
    // A network where its company comes from is plausible for it too: the other office, a new exit of the VPN.
    const others = this.#providers.get(provider);
    if (others !== undefined) {
      const own = [...p.secrets].filter((secret) => {
        const known = this.#secrets.get(secret);
        return known !== undefined && !this.#isBroad(known);
      });
      for (const other of others)
        if (own.some((secret) => this.#principals.get(other)?.secrets.has(secret) === true)) return;
    }
    const { site } = this.#table.networkName(access.network);
    this.#found.add(
      'new-network',
      access,
      access.secret,
      (who) =>
        `${who} read from ${site}; in ${p.days} days it had come from ${p.providers.size} networks, ` +
        `${p.newProviders} of them new since its first days`,
      {
        network: site,
        networks: p.providers.size,
        days: p.days,
        baseline: Number(rate.toFixed(4)),
        threshold: travelRate,
      },
      () => [access.secret],
      `network ${this.#table.networkName(access.network).provider}`,
    );
  }

  #oddHours(access: Access, p: Principal): void {
    const { minDays, minReads, hourGap, learnMs } = this.#parameters;
    // Late evenings are rare, so it takes longer to have seen them.
    if (p.days < 2 * minDays || p.reads < minReads || access.ms - p.first < learnMs) return;
    const hour = Math.floor((access.ms % DAY_MS) / HOUR_MS);
    const away = p.hoursAway(hour);
    if (away < hourGap) return;
    const hours = p.hoursText();
    this.#found.add(
      'odd-hours',
      access,
      access.secret,
      (who) =>
        `${who} read at ${String(hour).padStart(2, '0')}h UTC, ${away} hours from any hour of its ${p.days} days: ${hours}`,
      { hour, hours, days: p.days, observed: away, threshold: hourGap },
    );
  }

  #rate(access: Access, p: Principal): void {
    const { minDays, minReads, rateFactor, rateMin } = this.#parameters;
    const count = p.rate.add(access.ms);
    if (p.days < minDays || p.reads < minReads) return;
    const threshold = Math.max(rateMin, rateFactor * p.rate.most);
    if (count < threshold) return;
    p.rate.report();
    this.#found.add(
      'high-rate',
      access,
      undefined,
      (who) =>
        `${who} read ${count} times within an hour; ${p.rate.most} were the most in ${p.days} days, ${threshold} are too many`,
      { observed: count, baseline: p.rate.most, days: p.days, threshold },
    );
  }

  #bulk(access: Access, p: Principal, s: Secret): void {
    const { bulkSecrets, bulkFactor, burstMs, minDays } = this.#parameters;
    // New secrets are read when they are set up.
    if (access.ms - s.first < DAY_MS) return;
    const count = p.different.add(access.ms, access.secret);
    const least = Math.min(bulkSecrets, Math.max(8, Math.ceil(this.#secrets.size / 2)));
    const threshold = Math.max(p.days < minDays ? 2 * least : least, bulkFactor * p.different.most);
    if (count < threshold || !this.#storeIsLearned(access.ms)) return;
    p.different.report();
    this.#found.add(
      'bulk-read',
      access,
      undefined,
      (who) =>
        `${who} read ${count} different secrets within ${minutes(burstMs)}; ${p.different.most} were the most before, ${threshold} are too many`,
      { observed: count, baseline: p.different.most, threshold },
      () => p.different.things,
    );
  }

  #providerNumber(network: number): number {
    const known = this.#providerOf[network];
    if (known !== undefined) return known;
    const { provider } = this.#table.networkName(network);
    let number = this.#providerNumbers.get(provider);
    if (number === undefined) {
      number = this.#providerNumbers.size;
      this.#providerNumbers.set(provider, number);
    }
    this.#providerOf[network] = number;
    return number;
  }

  /** The findings, in time order. */
  findings(): readonly Finding[] {
    return this.#found.all();
  }

  /** What could not be judged for lack of data. */
  notes(): readonly string[] {
    if (Number.isNaN(this.#first)) return [];
    const { learnMs, minDays, minReads } = this.#parameters;
    const days = (this.#last - this.#first) / DAY_MS;
    const notes: string[] = [];
    if (this.#last - this.#first < learnMs)
      notes.push(
        `anomalies need ${Math.round(learnMs / DAY_MS)} days of events to learn from; these span ${days.toFixed(1)}`,
      );
    const judged = [...this.#principals.values()].filter(
      (p) => p.days >= minDays && p.reads >= minReads && this.#last - p.first >= learnMs,
    ).length;
    if (judged < this.#principals.size)
      notes.push(
        `${this.#principals.size - judged} of ${this.#principals.size} principals have fewer than ${minDays} days with reads (${2 * minDays} for hours): ` +
          'their hours, networks and rates are not judged',
      );
    return notes;
  }
}

/** New networks in a principal's first days aren't reported. */
const FIRST_DAYS = 7;

function minutes(ms: number): string {
  return `${Math.round(ms / 60_000)} minutes`;
}

export function findAnomalies(
  table: EventTable,
  parameters: AnomalyParameters,
  isHoney: (store: string, secret: string) => boolean,
): { readonly findings: readonly Finding[]; readonly notes: readonly string[] } {
  const honey = new Map<number, boolean>();
  const detectors = new Detectors(table, parameters, (number) => {
    let known = honey.get(number);
    if (known === undefined) {
      const { store, secret } = table.secretName(number);
      known = isHoney(store, secret);
      honey.set(number, known);
    }
    return known;
  });
  for (const access of table.byTime()) detectors.next(access);
  return { findings: detectors.findings(), notes: detectors.notes() };
}
