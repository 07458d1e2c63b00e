/** Parses the periods of the audit log and of trails: `--since` and `--until`. */
import { parsePeriod } from './duration.ts';
import { SecretsError } from './errors.ts';

/** RFC 3339, a date (midnight UTC), or a duration before now. @throws SecretsError Usage */
export function parseTime(text: string, now: Date, flag: string): Date {
  if (/^\d+(s|m|h|d|w)$/.test(text)) return new Date(now.getTime() - parsePeriod(text));
  const form = /^\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:\d{2}))?$/;
  const time = form.test(text) ? new Date(text.toUpperCase().replace(' ', 'T')) : new Date(Number.NaN);
  if (!Number.isNaN(time.getTime())) return time;
  throw new SecretsError('Usage', `${flag} ${JSON.stringify(text)} is not a valid time`, {
    hint: 'use 2026-11-24T09:15:00Z, 2026-11-24, or an age such as 90m or 7d',
  });
}

/** @throws SecretsError Usage if the period ends before it starts */
export function checkPeriod({ since, until }: { readonly since: Date; readonly until: Date }): void {
  if (since.getTime() > until.getTime())
    throw new SecretsError('Usage', 'the period ends before it begins', {
      hint: 'set --since before --until',
    });
}
