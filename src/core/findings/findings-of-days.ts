/** Collects findings about accesses as they come in: what belongs together becomes one finding, with a count. */
import type { Access, EventTable } from './events.ts';
import type { Evidence, Finding } from './finding.ts';
import { remember } from './profiles.ts';
import { finding, type RuleId } from './rules.ts';

/** The most findings to keep: a report with more is about one general problem, not about single accesses. */
const MOST_FINDINGS = 10_000;
/** The number of names listed in a finding's evidence. */
const MOST_NAMED = 5;

interface Open {
  readonly secrets: Set<number>;
  readonly principals: Set<number>;
  accesses: number;
  last: number;
  base: Finding;
}

export class FindingsOfDays {
  readonly #table: EventTable;
  readonly #open = new Map<string, Open>();

  constructor(table: EventTable) {
    this.#table = table;
  }

  /**
   * One finding for what a principal did on one UTC day, or for everything with the same `together`.
   * @param secret the secret that it is about; undefined if it is about a principal
   * @param secrets the secrets involved so far
   */
  add(
    rule: RuleId,
    access: Access,
    secret: number | undefined,
    message: (who: string) => string,
    evidence: Evidence,
    secrets: () => readonly number[] = () => [access.secret],
    together?: string,
  ): void {
    const day = new Date(access.ms).toISOString().slice(0, 10);
    const who = this.#table.principals.nameOf(access.principal);
    const key = JSON.stringify([
      rule,
      together ?? [access.principal, day],
      rule === 'honey-read' ? secret : 0,
    ]);
    const open = this.#open.get(key);
    if (open !== undefined) {
      open.last = access.ms;
      open.accesses += 1;
      remember(open.secrets, access.secret);
      remember(open.principals, access.principal);
      // Report the peak of a burst, not where it crossed the threshold.
      if (Number(evidence['observed'] ?? 0) > Number(open.base.evidence['observed'] ?? Infinity))
        open.base = { ...open.base, message: message(who), evidence };
      return;
    }
    if (this.#open.size >= MOST_FINDINGS) return;
    const place = this.#table.secretName(access.secret);
    this.#open.set(key, {
      last: access.ms,
      secrets: new Set(secrets()),
      principals: new Set([access.principal]),
      accesses: 1,
      base: finding(
        rule,
        { store: place.store, ...(secret !== undefined && { secret: place.secret }) },
        message(who),
        evidence,
        {
          about: [together ?? who, ...(together === undefined ? [day] : [])],
          at: new Date(access.ms).toISOString(),
          principal: who,
        },
      ),
    });
  }

  /** In time order. */
  all(): readonly Finding[] {
    return [...this.#open.values()].map(({ base, secrets, principals, accesses, last }) => ({
      ...base,
      evidence: {
        ...base.evidence,
        accesses,
        ...(last > Date.parse(base.at ?? '') && { last: new Date(last).toISOString() }),
        ...(principals.size > 1 && {
          principals: named([...principals].map((who) => this.#table.principals.nameOf(who))),
          principalCount: principals.size,
        }),
        ...(secrets.size > 0 && {
          secrets: named([...secrets].map((number) => this.#table.secretName(number).secret)),
          secretCount: secrets.size,
        }),
      },
    }));
  }
}

function named(names: readonly string[]): readonly string[] {
  return names.length > MOST_NAMED ? names.slice(0, MOST_NAMED) : names;
}
