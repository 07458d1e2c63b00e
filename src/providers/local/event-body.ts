/**
 * Validates the content of a box: docs/local-store.md, section 5. Written by hand, because every read of the store
 * validates entries, and loading the schema library takes as long as the read.
 */
import { isJsonObject } from '../../core/json.ts';
import { fromBase64 } from './crypto.ts';
import type { EventBody } from './state.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Unknown members are ignored. */
export function isEventBody(body: unknown): body is EventBody {
  if (!isJsonObject(body) || typeof own(body, 'name') !== 'string' || !hasOrigin(body)) return false;
  switch (own(body, 'type')) {
    case 'value':
      return hasVersion(body) && isBase64(own(body, 'value')) && optional(body, 'expires', isCount);
    case 'current':
      return isId(own(body, 'target'));
    case 'delete':
    case 'restore':
      return true;
    case 'destroy': {
      const removed = own(body, 'removed');
      return (
        isId(own(body, 'target')) &&
        isJsonObject(removed) &&
        isCount(own(removed, 'number')) &&
        isCount(own(removed, 'time')) &&
        hasOrigin(removed) &&
        hasVersion(removed)
      );
    }
    default:
      return false;
  }
}

function hasOrigin(fields: Fields): boolean {
  return optional(fields, 'parent', isId) && optional(fields, 'by', isText);
}

function hasVersion(fields: Fields): boolean {
  const stage = own(fields, 'stage');
  return (
    isCount(own(fields, 'version')) &&
    (stage === 'current' || stage === 'pending') &&
    optional(fields, 'labels', isLabels) &&
    optional(fields, 'description', isText)
  );
}

function own(fields: Fields, key: string): unknown {
  return Object.hasOwn(fields, key) ? fields[key] : undefined;
}

function optional(fields: Fields, key: string, fits: (value: unknown) => boolean): boolean {
  return !Object.hasOwn(fields, key) || fits(fields[key]);
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function isId(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{32}$/.test(value);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isBase64(value: unknown): boolean {
  return typeof value === 'string' && fromBase64(value) !== undefined;
}

function isLabels(value: unknown): boolean {
  return isJsonObject(value) && Object.values(value).every((text) => text === null || isText(text));
}
