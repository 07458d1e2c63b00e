/**
 * Records who holds a rotation, as one label on the secret that every machine can read.
 *
 * Google's labels are the most restricted: values of at most 63 characters of `a-z`, `0-9`, `_` and `-`
 * (https://cloud.google.com/secret-manager/docs/managing-labels). The record fits everywhere: `<rotation id>_<start,
 * base 36 seconds>_<lease, base 36 seconds>_<mark of the pending version>_<host>_<user>`.
 */
import { createHash } from 'node:crypto';

/** Labels that rotations keep on their secret. */
export const HOLDER_LABEL = 'rotation';
export const LAST_ROTATED_LABEL = 'last-rotated';
export const EVERY_LABEL = 'rotate-every';
/** Until when the replaced credential is kept; present until it is retired. */
export const RETIRE_LABEL = 'retire-previous';

export interface Holder {
  /** `[a-z0-9]{16}` */
  readonly id: string;
  readonly host: string;
  readonly user: string;
  /** By the holder's own clock: for display, never compared with another clock. */
  readonly since: Date;
  /** How long the holder may be silent; 0 once it has released the rotation. */
  readonly leaseMs: number;
}

const LONGEST = 63;

export function encodeHolder(holder: Holder, pendingId: string): string {
  const head = [
    holder.id,
    Math.floor(holder.since.getTime() / 1000).toString(36),
    Math.ceil(holder.leaseMs / 1000).toString(36),
    markOf(pendingId),
  ].join('_');
  const user = plain(holder.user).slice(0, 10);
  const host = plain(holder.host).slice(0, LONGEST - head.length - user.length - 2);
  return `${head}_${host}_${user}`;
}

/** @returns undefined if the label is malformed or belongs to another pending version */
export function decodeHolder(label: string | undefined, pendingId: string): Holder | undefined {
  const match =
    /^([a-z0-9]{16})_([a-z0-9]{1,9})_([a-z0-9]{1,6})_([a-z0-9]{6})_([a-z0-9-]*)_([a-z0-9-]*)$/.exec(
      label ?? '',
    );
  if (match === null || match[4] !== markOf(pendingId)) return undefined;
  const [, id = '', since = '', lease = '', , host = '', user = ''] = match;
  return {
    id,
    host,
    user,
    since: new Date(Number.parseInt(since, 36) * 1000),
    leaseMs: Number.parseInt(lease, 36) * 1000,
  };
}

/** A time as a label: `20261124t091500z`, which sorts and is valid everywhere. */
export function encodeTime(time: Date): string {
  return `${time.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').toLowerCase()}z`;
}

export function decodeTime(label: string | undefined): Date | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)z$/.exec(label ?? '');
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number);
  const time = new Date(Date.UTC(year as number, (month as number) - 1, day, hour, minute, second));
  return Number.isNaN(time.getTime()) ? undefined : time;
}

/** Ties a record to one pending version, so that a record left by an earlier rotation names nobody. */
function markOf(pendingId: string): string {
  return createHash('sha256').update(pendingId).digest('hex').slice(0, 6);
}

function plain(text: string): string {
  return text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
}
