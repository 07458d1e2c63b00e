/** Rules about how secrets are kept: pure functions of what stores, policies and the log say about a secret. */
import type { Grant, SecretInfo, VersionInfo } from '../secret.ts';
import type { Schedule } from '../rotation/schedule.ts';
import type { Finding, Severity } from './finding.ts';
import type { PostureParameters } from './parameters.ts';
import { finding, RULES } from './rules.ts';

const DAY_MS = 86_400_000;

/** What is known of one secret; nothing about its value. */
export interface SecretFacts {
  readonly store: string;
  readonly info: SecretInfo;
  /** Newest first; undefined if the store keeps no versions or doesn't show them. */
  readonly versions?: readonly VersionInfo[] | undefined;
  readonly schedule?: Schedule | undefined;
  readonly grants?: readonly Grant[] | undefined;
  /** Whether secrets.yaml has a rotation policy for it. */
  readonly hasPolicy?: boolean | undefined;
  /** The target of its rotation policy. */
  readonly target?: { readonly type: string; readonly verifies: boolean } | undefined;
  /** The last allowed read among the events. */
  readonly lastSeenRead?: Date | undefined;
}

/** How far back the events of a store go, and what they cover. */
export interface Coverage {
  /** The first event of this store, or of our log. */
  readonly from: Date | undefined;
  /** Whether a service's own trail is included: our log only has reads by this user on this machine. */
  readonly trail: boolean;
}

type Check = (facts: SecretFacts, context: Context) => readonly Finding[];

interface Context {
  readonly now: Date;
  readonly parameters: PostureParameters;
  readonly coverage: Coverage;
}

/** All findings about one secret that isn't deleted. */
export function judgeSecret(
  facts: SecretFacts,
  coverage: Coverage,
  parameters: PostureParameters,
  now: Date,
): readonly Finding[] {
  return CHECKS.flatMap((check) => check(facts, { now, parameters, coverage }));
}

function placeOf({ store, info }: SecretFacts): { readonly store: string; readonly secret: string } {
  return { store, secret: info.name };
}

function daysBetween(from: Date, to: Date): number {
  return Math.floor((to.getTime() - from.getTime()) / DAY_MS);
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

/** When the current value was created. */
export function valueDate({ schedule, versions, info }: SecretFacts): Date | undefined {
  return (
    schedule?.lastRotated ??
    info.rotation?.lastRotated ??
    versions?.find(({ stages }) => stages.includes('current'))?.createdAt ??
    (versions === undefined ? (info.updatedAt ?? info.createdAt) : undefined)
  );
}

const neverRotated: Check = (facts, { now, parameters }) => {
  const { info, versions, schedule } = facts;
  const [only] = versions ?? [];
  if (versions?.length !== 1 || only?.createdAt === undefined) return [];
  // A store that drops old versions keeps only one of many, which is then younger than the secret.
  if (info.createdAt !== undefined && only.createdAt.getTime() - info.createdAt.getTime() > 60_000) return [];
  if (schedule?.lastRotated !== undefined && schedule.lastRotated > only.createdAt) return [];
  const age = now.getTime() - only.createdAt.getTime();
  if (age <= parameters.neverRotatedAfterMs) return [];
  const days = Math.floor(age / DAY_MS);
  const limit = Math.floor(parameters.neverRotatedAfterMs / DAY_MS);
  return [
    finding(
      'never-rotated',
      placeOf(facts),
      `still has its first value, which is ${days} days old; ${limit} are allowed`,
      { ageDays: days, limitDays: limit, since: day(only.createdAt) },
    ),
  ];
};

const overdue: Check = (facts, { now }) => {
  const { schedule } = facts;
  if (schedule?.state !== 'overdue' || schedule.next === undefined) return [];
  const { next, everyMs, native } = schedule;
  const days = daysBetween(next, now);
  const every = everyMs === undefined ? undefined : Math.round(everyMs / DAY_MS);
  const rule = every === undefined ? '' : `: every ${every} days`;
  return [
    finding(
      'overdue',
      placeOf(facts),
      `was to be rotated ${days === 0 ? 'today' : `${days} days ago`}, on ${day(next)}${rule}` +
        (native === undefined ? '' : `, by ${native.by}`),
      {
        overdueDays: days,
        due: day(next),
        ...(every !== undefined && { everyDays: every }),
        ...(native !== undefined && { by: native.by }),
      },
      { remedy: overdueRemedy(facts) },
    ),
  ];
};

/** Without a policy, nobody here rotates the secret, or its service does. */
function overdueRemedy({ hasPolicy, schedule }: SecretFacts): string | undefined {
  if (hasPolicy !== false) return undefined;
  return schedule?.native === undefined
    ? RULES['never-rotated'].remedy
    : 'Look why its service did not rotate it: secrets rotate status.';
}

const stuck: Check = (facts, { now }) => {
  const { schedule } = facts;
  if (schedule?.state !== 'stuck') return [];
  const since = schedule.holder?.since;
  const hours = since === undefined ? undefined : Math.floor((now.getTime() - since.getTime()) / 3_600_000);
  const native = schedule.native?.attempt !== undefined;
  const who = schedule.holder !== undefined && 'host' in schedule.holder ? schedule.holder.host : undefined;
  return [
    finding(
      'rotation-stuck',
      placeOf(facts),
      `has a rotation that was begun${hours === undefined ? '' : ` ${hours} hours ago`} and is not finished`,
      { ...(hours !== undefined && { hours }), ...(who !== undefined && { host: who }) },
      // Without a policy, the target of the rotation isn't known, so the remedy must mention that.
      facts.hasPolicy === false && !native
        ? {
            remedy:
              'Run secrets rotate resume REF, or secrets rotate rollback REF, where its policy is; without one, with --without-target.',
          }
        : {},
    ),
  ];
};

const expiry: Check = (facts, { now, parameters }) => {
  const { info, versions } = facts;
  const current = versions?.find(({ stages }) => stages.includes('current'));
  const ends = [info.expiresAt, current?.expiresAt].filter((date) => date !== undefined);
  if (ends.length === 0) return [];
  const end = new Date(Math.min(...ends.map((date) => date.getTime())));
  const days = daysBetween(now, end);
  if (end <= now)
    return [
      finding('expired', placeOf(facts), `expired on ${day(end)}, ${daysBetween(end, now)} days ago`, {
        expired: day(end),
        days: daysBetween(end, now),
      }),
    ];
  if (end.getTime() - now.getTime() > parameters.expiringWithinMs) return [];
  const within = Math.floor(parameters.expiringWithinMs / DAY_MS);
  return [
    finding('expiring', placeOf(facts), `expires on ${day(end)}, in ${days} days`, {
      expires: day(end),
      days,
      withinDays: within,
    }),
  ];
};

const unused: Check = (facts, { now, parameters, coverage }) => {
  const { info, lastSeenRead } = facts;
  const limit = new Date(now.getTime() - parameters.unusedAfterMs);
  const limitDays = Math.floor(parameters.unusedAfterMs / DAY_MS);
  const made = info.createdAt;
  // A new secret hasn't had time to be read.
  if (made === undefined || made > limit) return [];
  if (lastSeenRead !== undefined && lastSeenRead > limit) return [];
  if (info.lastReadAt !== undefined) {
    if (info.lastReadAt === 'never' && lastSeenRead === undefined)
      return [
        finding(
          'never-read',
          placeOf(facts),
          `has never been read since it was made ${daysBetween(made, now)} days ago, says the service`,
          { madeDaysAgo: daysBetween(made, now), limitDays, source: 'service' },
        ),
      ];
    const read = info.lastReadAt === 'never' ? lastSeenRead : info.lastReadAt;
    if (read === undefined || read > limit) return [];
    return [
      finding(
        'no-reader',
        placeOf(facts),
        `was read last ${daysBetween(read, now)} days ago, says the service; ${limitDays} are allowed`,
        { lastReadDaysAgo: daysBetween(read, now), limitDays, source: 'service' },
      ),
    ];
  }
  if (coverage.from === undefined || coverage.from > limit) return [];
  const days = daysBetween(coverage.from, now);
  const source = coverage.trail ? 'trail' : 'log';
  // Our own log doesn't have reads by others, so the finding is only a hint.
  const severity: Severity = coverage.trail ? 'low' : 'info';
  const where = coverage.trail
    ? 'the trail'
    : 'this log, which knows of reads through secrets by its own user alone';
  if (lastSeenRead !== undefined) {
    const ago = daysBetween(lastSeenRead, now);
    return [
      finding(
        'no-reader',
        placeOf(facts),
        `was read last ${ago} days ago by ${where}; ${limitDays} are allowed`,
        { lastReadDaysAgo: ago, limitDays, source },
        { severity },
      ),
    ];
  }
  const whole = coverage.from <= made;
  return [
    finding(
      whole ? 'never-read' : 'no-reader',
      placeOf(facts),
      whole
        ? `has never been read since it was made ${daysBetween(made, now)} days ago, by ${where}`
        : `has no reader in the ${days} days of ${where}`,
      { observedDays: days, limitDays, source },
      { severity },
    ),
  ];
};

const disabled: Check = (facts) => {
  const { versions } = facts;
  if (versions === undefined || versions.length === 0) return [];
  const live = versions.filter(({ stages }) => !stages.includes('pending'));
  const current = live.find(({ stages }) => stages.includes('current')) ?? live[0];
  if (current === undefined || current.state === 'enabled') return [];
  return [
    finding(
      'disabled-current',
      placeOf(facts),
      `its newest version, ${current.id}, is ${current.state}: who reads it is refused`,
      { version: current.id, state: current.state },
    ),
  ];
};

const tooMany: Check = (facts, { parameters }) => {
  const live = (facts.versions ?? []).filter(({ state }) => state === 'enabled').length;
  if (live <= parameters.maxVersions) return [];
  return [
    finding(
      'too-many-versions',
      placeOf(facts),
      `has ${live} versions that can be read; ${parameters.maxVersions} are allowed`,
      { versions: live, limit: parameters.maxVersions },
    ),
  ];
};

const unverified: Check = (facts) => {
  const { target } = facts;
  if (target === undefined || target.verifies) return [];
  return [
    finding(
      'unverified-rotation',
      placeOf(facts),
      `is rotated by a target of type ${target.type} that has no way to try the new value`,
      { target: target.type },
    ),
  ];
};

const BREADTHS: Readonly<Record<Exclude<Grant['breadth'], 'named'>, readonly [Severity, Severity, string]>> =
  {
    public: ['critical', 'high', 'anybody'],
    wildcard: ['high', 'medium', 'everybody who is signed in'],
    account: ['medium', 'low', 'a whole account, domain or mount'],
  };

function broadGrants(facts: SecretFacts): readonly (Grant & { readonly breadth: keyof typeof BREADTHS })[] {
  return (facts.grants ?? []).filter(
    (grant): grant is Grant & { readonly breadth: keyof typeof BREADTHS } => grant.breadth !== 'named',
  );
}

const access: Check = (facts) =>
  broadGrants(facts)
    .filter(({ shared }) => shared !== true)
    .map(({ principal, breadth, conditional, through }) => {
      const [plain, narrowed, who] = BREADTHS[breadth];
      return finding(
        'broad-access',
        placeOf(facts),
        `can be read by ${who}: ${principal}, through ${through}${conditional === true ? ', under a condition' : ''}`,
        { principal, breadth, through, conditional: conditional === true ? 'yes' : 'no' },
        { severity: conditional === true ? narrowed : plain, about: [principal, through] },
      );
    });

/** Grants outside the secrets: one finding each, however many secrets they cover. */
export function judgeSharedGrants(all: readonly SecretFacts[]): readonly Finding[] {
  const groups = new Map<
    string,
    { readonly grant: Grant; readonly store: string; readonly names: string[] }
  >();
  for (const facts of all)
    for (const grant of broadGrants(facts)) {
      if (grant.shared !== true) continue;
      const key = JSON.stringify([facts.store, grant.principal, grant.through, grant.breadth]);
      const group = groups.get(key) ?? { grant, store: facts.store, names: [] };
      groups.set(key, group);
      group.names.push(facts.info.name);
    }
  return [...groups.values()].map(({ grant, store, names }) => {
    const { principal, breadth, conditional, through } = grant;
    const [plain, narrowed, who] = BREADTHS[breadth as keyof typeof BREADTHS];
    return finding(
      'broad-access',
      { store },
      `${names.length} secrets can be read by ${who}: ${principal}, through ${through}`,
      { principal, breadth, through, secretCount: names.length, secrets: names.slice(0, 5) },
      { severity: conditional === true ? narrowed : plain, about: [principal, through] },
    );
  });
}

const CHECKS: readonly Check[] = [
  neverRotated,
  overdue,
  stuck,
  expiry,
  unused,
  disabled,
  tooMany,
  unverified,
  access,
];
