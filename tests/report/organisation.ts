/**
 * A made-up organisation whose reads of secrets fill a trail: who there is, where and when they work, and what they
 * read. It knows nothing of the detectors. docs/audit-report.md says what of normal life is in it.
 */
import type { Random } from './random.ts';

export const DAY_MS = 86_400_000;
export const HOUR_MS = 3_600_000;

export interface Team {
  readonly name: string;
  readonly zone: string;
  readonly office: string;
  readonly vpn: string;
  /** Networks of a provider, as the first two bytes, that homes there have. */
  readonly homes: readonly string[];
  readonly secrets: string[];
  readonly people: Person[];
  readonly jobs: Job[];
}

export interface Person {
  readonly name: string;
  /** Changes when somebody moves. */
  team: Team;
  readonly zone: string;
  readonly from: number;
  until: number;
  /** Local hour at which work begins and ends. */
  readonly begins: number;
  readonly ends: number;
  readonly readsPerDay: number;
  readonly homeShare: number;
  /** Lives behind IPv6. */
  readonly six: boolean;
  readonly traveller: boolean;
  readonly onCall: boolean;
  home: { provider: string; site: number; until: number };
  trip: { site: string; until: number } | undefined;
  readonly away: readonly (readonly [number, number])[];
  /** Secrets of the team that this person has come to use. */
  readonly uses: string[];
}

export type JobKind = 'nightly' | 'poller' | 'deploy' | 'service' | 'backup';

export interface Job {
  name: string;
  readonly team: Team;
  readonly kind: JobKind;
  readonly from: number;
  readonly until: number;
  /** Local or UTC minute of the day, of a nightly one. */
  minute: number;
  readonly local: boolean;
  /** Scale of its bursts or of its pace. */
  readonly pace: number;
  readonly uses: readonly string[];
  readonly region: number;
  /** Deploys and scale-ups that are far larger than others happen to it. */
  readonly wild: boolean;
}

export const ZONES = ['Europe/Berlin', 'America/New_York', 'Asia/Kolkata'] as const;

/** Milliseconds that a zone's clock is ahead of UTC on a day; daylight saving included. */
export function zoneOffset(zone: string, day: number): number {
  const key = `${zone} ${day}`;
  let offset = offsets.get(key);
  if (offset === undefined) {
    const noon = new Date(day * DAY_MS + DAY_MS / 2);
    const parts = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
    }).formatToParts(noon);
    const get = (type: string): number => Number(parts.find((part) => part.type === type)?.value);
    const shown = Date.UTC(get('year'), get('month') - 1, get('day'), get('hour'), get('minute'));
    offset = shown - noon.getTime();
    offsets.set(key, offset);
  }
  return offset;
}

const offsets = new Map<string, number>();

export interface Organisation {
  readonly teams: readonly Team[];
  readonly people: readonly Person[];
  readonly jobs: readonly Job[];
  /** Secrets that everybody uses. */
  readonly shared: readonly string[];
  readonly honey: readonly string[];
  /** Networks of each cloud region's exits, before and after the move of one of them. */
  readonly exits: readonly (readonly string[])[];
  readonly move: { readonly region: number; readonly day: number; readonly to: readonly string[] };
  /** Days on which an office is closed. */
  readonly holidays: ReadonlyMap<string, ReadonlySet<number>>;
}

const TEAMS = ['pay', 'web', 'data', 'infra', 'mobile', 'search', 'risk', 'mail'];

export function makeOrganisation(random: Random, firstDay: number, days: number): Organisation {
  const lastDay = firstDay + days;
  const shared = ['shared/npm-token', 'shared/docker-registry', 'shared/sentry', 'shared/wifi'];
  const exits = [2, 3].map((count) =>
    Array.from({ length: count }, () => `52.${random.whole(10, 90)}.${random.whole(0, 255)}`),
  );
  const providers: Record<string, readonly string[]> = {
    'Europe/Berlin': ['91.12', '84.160', '93.210'],
    'America/New_York': ['73.40', '98.115', '71.190'],
    'Asia/Kolkata': ['103.41', '117.200'],
  };
  const teams = TEAMS.map((name, number): Team => {
    const zone = ZONES[number % 4 === 3 ? 0 : number % 3] as string;
    const site = ZONES.indexOf(zone as (typeof ZONES)[number]);
    return {
      name,
      zone,
      office: `198.51.${100 + site}`,
      vpn: `203.0.${113 + site}`,
      homes: providers[zone] as readonly string[],
      secrets: Array.from({ length: random.whole(10, 24) }, (_, n) => `${name}/secret-${n}`),
      people: [],
      jobs: [],
    };
  });
  const people: Person[] = [];
  const jobs: Job[] = [];
  let number = 0;
  const hire = (team: Team, from: number): Person => {
    number += 1;
    const begins = random.normal(9, 0.8);
    const person: Person = {
      name: `user-${number}@example.com`,
      team,
      zone: team.zone,
      from,
      until: lastDay,
      begins,
      ends: begins + random.normal(8.5, 0.7),
      readsPerDay: random.logNormal(5, 0.6),
      homeShare: random.pick([0, 0.2, 0.4, 0.6, 1]),
      six: random.chance(0.25),
      traveller: random.chance(0.05),
      onCall: from === firstDay && random.chance(0.14),
      home: { provider: random.pick(team.homes), site: 0, until: 0 },
      trip: undefined,
      away: vacations(random, firstDay, days),
      uses: [...random.some(team.secrets, from === firstDay ? random.whole(4, 12) : 1)],
    };
    team.people.push(person);
    people.push(person);
    return person;
  };
  for (const team of teams) for (let n = random.whole(5, 10); n > 0; n -= 1) hire(team, firstDay);
  // Growth: somebody new every month or so; somebody leaves every other month; two people move.
  for (let n = Math.round(days / 28); n > 0; n -= 1)
    hire(random.pick(teams), firstDay + random.whole(20, days - 20));
  for (const person of random.some(
    people.filter(({ from }) => from === firstDay),
    Math.round(days / 60),
  ))
    person.until = firstDay + random.whole(20, days - 1);

  for (const team of teams) {
    const kinds: JobKind[] = [
      'nightly',
      'nightly',
      'poller',
      'deploy',
      'deploy',
      'service',
      'service',
      'service',
    ];
    for (const kind of kinds) jobs.push(makeJob(random, team, kind, jobs.length, firstDay, lastDay, shared));
  }
  const [first] = teams;
  if (first !== undefined) {
    const all = teams.flatMap(({ secrets }) => secrets);
    jobs.push({ ...makeJob(random, first, 'backup', jobs.length, firstDay, lastDay, shared), uses: all });
  }
  // New services: a principal, some secrets of its own, and one or two that are there already.
  for (let n = Math.round(days / 40); n > 0; n -= 1) {
    const team = random.pick(teams);
    const from = firstDay + random.whole(20, days - 20);
    const own = Array.from({ length: random.whole(2, 6) }, (_, index) => `${team.name}/new-${n}-${index}`);
    const made = makeJob(random, team, 'service', jobs.length, from, lastDay, shared);
    jobs.push({ ...made, uses: [...own, ...random.some(shared, 1)] });
  }
  for (const job of jobs) job.team.jobs.push(job);
  const holidays = new Map<string, ReadonlySet<number>>();
  for (const zone of ZONES)
    holidays.set(
      zone,
      new Set(Array.from({ length: Math.round(days / 30) }, () => firstDay + random.whole(0, days))),
    );
  return {
    teams,
    people,
    jobs,
    shared,
    honey: ['pay/root-password-old', 'infra/aws-admin-key'],
    exits,
    move: {
      region: 0,
      day: firstDay + random.whole(Math.round(days / 3), days - 5),
      to: [`34.${random.whole(10, 90)}.${random.whole(0, 255)}`],
    },
    holidays,
  };
}

function vacations(random: Random, firstDay: number, days: number): readonly (readonly [number, number])[] {
  return Array.from({ length: Math.max(1, Math.round(days / 90)) }, () => {
    const from = firstDay + random.whole(0, days);
    return [from, from + random.whole(4, 16)] as const;
  });
}

function makeJob(
  random: Random,
  team: Team,
  kind: JobKind,
  number: number,
  from: number,
  until: number,
  shared: readonly string[],
): Job {
  const uses = [
    ...random.some(team.secrets, kind === 'deploy' ? random.whole(4, 14) : random.whole(1, 5)),
    ...(kind === 'deploy' || random.chance(0.3) ? random.some(shared, random.whole(1, 2)) : []),
  ];
  return {
    name: `arn:aws:sts::123456789012:assumed-role/${team.name}-${kind}-${number}/session`,
    team,
    kind,
    from,
    until,
    minute: kind === 'backup' ? 150 : random.whole(0, 6 * 60),
    local: random.chance(0.5),
    pace: kind === 'poller' ? random.pick([1, 1, 2, 4]) : random.logNormal(3, 0.5),
    uses,
    region: random.whole(0, 1),
    wild: random.chance(0.3),
  };
}
