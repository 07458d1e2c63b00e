/** Answers in the form of Vault 1.21: the envelope, the errors, and the texts that clients and people know. */
import { randomUUID } from 'node:crypto';
import { type GoValue, goJson } from './go-json.ts';

export interface Answer {
  readonly status: number;
  /** Empty: no body. */
  readonly body: string;
  readonly contentType?: string | undefined;
}

interface Extra {
  readonly status?: number | undefined;
  readonly warnings?: readonly string[] | undefined;
  readonly auth?: GoValue | undefined;
  /** Kind of the engine that answers. */
  readonly mount?: 'kv' | 'token' | 'system' | undefined;
  /** Fields that `sys` paths repeat beside the envelope. */
  readonly beside?: Readonly<Record<string, GoValue>> | undefined;
}

/** The envelope of every response with data. Vault ends it with a line break unless the status is 404. */
export function envelope(data: GoValue, extra: Extra = {}): Answer {
  const { status = 200, warnings, auth, mount, beside } = extra;
  const body = goJson({
    ...beside,
    request_id: randomUUID(),
    lease_id: '',
    renewable: false,
    lease_duration: 0,
    data,
    wrap_info: null,
    warnings: warnings ?? null,
    auth: auth ?? null,
    mount_type: mount ?? '',
  });
  return { status, body: status === 200 ? `${body}\n` : body };
}

/** KV version 1: the engine sets a duration, after which clients read again. */
export function leased(data: GoValue, seconds: number, warnings?: readonly string[]): Answer {
  const body = envelope(data, { mount: 'kv', warnings }).body;
  return { status: 200, body: body.replace('"lease_duration":0', `"lease_duration":${seconds}`) };
}

export function json(value: GoValue): Answer {
  return { status: 200, body: `${goJson(value)}\n` };
}

export function failed(status: number, ...errors: readonly string[]): Answer {
  return { status, body: `${goJson({ errors })}\n` };
}

export const NO_CONTENT: Answer = { status: 204, body: '' };
export const NOT_FOUND = failed(404);
export const METHOD_NOT_ALLOWED = failed(405);
/** Without a token. */
export const NO_TOKEN = failed(403, 'permission denied');
/** With a token that isn't known, or isn't any more. */
export const BAD_TOKEN = failed(403, '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n');
/** With a token whose policies don't allow it. */
export const NOT_ALLOWED = failed(403, '1 error occurred:\n\t* permission denied\n\n');
/** Outside of /v1/. */
export const NO_PAGE: Answer = {
  status: 404,
  body: '404 page not found\n',
  contentType: 'text/plain; charset=utf-8',
};

export function noRoute(path: string): string {
  return `no handler for route "${path}". route entry not found.`;
}

/** The path is none of KV version 2's. */
export function wrongKvPath(isList: boolean): Answer {
  return envelope(null, {
    status: 404,
    warnings: [
      'Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. ' +
        `If using the Vault CLI, use 'vault kv ${isList ? 'list' : 'get'}' for this operation.`,
    ],
  });
}

export const ROOT_OF_MOUNT = (): Answer =>
  envelope(null, {
    status: 404,
    warnings: ['Non-listing operations on the root of a K/V v2 mount are not supported.'],
  });
