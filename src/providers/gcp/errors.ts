/** Brings the errors of both transports into one form, and translates them. */
import { excerpt, IN_DOUBT, SecretsError, type ErrorKind } from '../../core/errors.ts';
import { alreadyExists, changedMeanwhile } from '../errors.ts';

/** google.rpc.Code: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto */
export const CODE = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/**
 * The code for an HTTP status if the body contains none: https://cloud.google.com/apis/design/errors#handling_errors
 */
function codeOfStatus(status: number): number {
  const known: Readonly<Record<number, number>> = {
    400: CODE.INVALID_ARGUMENT,
    401: CODE.UNAUTHENTICATED,
    403: CODE.PERMISSION_DENIED,
    404: CODE.NOT_FOUND,
    409: CODE.ABORTED,
    429: CODE.RESOURCE_EXHAUSTED,
    500: CODE.INTERNAL,
    501: CODE.UNIMPLEMENTED,
  };
  return known[status] ?? (status >= 500 ? CODE.UNAVAILABLE : CODE.UNKNOWN);
}

interface FaultDetails {
  /** The google.rpc.Code of the service's response; missing if there was no response. */
  readonly code?: number | undefined;
  /** The service's message, on one line. */
  readonly text?: string | undefined;
  /** `reason` of google.rpc.ErrorInfo, such as SERVICE_DISABLED. */
  readonly reason?: string | undefined;
  /** The system's error code, or a word, for a call without a response from the service. */
  readonly system?: string | undefined;
  /** Repeating the call can't help. */
  readonly permanent?: boolean | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** A failed call over either transport. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: number | undefined;
  readonly text: string;
  readonly reason: string | undefined;
  readonly system: string | undefined;
  readonly permanent: boolean;
  readonly retryAfterMs: number | undefined;

  constructor({ code, text = '', reason, system, permanent = false, retryAfterMs, cause }: FaultDetails) {
    super(text || system || `code ${code}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.text = oneLine(text);
    this.reason = reason;
    this.system = system;
    this.permanent = permanent || (system !== undefined && PERMANENT.test(system));
    this.retryAfterMs = retryAfterMs;
  }
}

/** Trust and name errors, which stay the same when the call is repeated. */
const PERMANENT =
  /certificate|CERT|SIGNED|ISSUER|ALTNAME|VERIFY|ENOTFOUND|ERR_TLS|ERR_SSL|EPROTO|ERR_INVALID/;
const UNTRUSTED = /certificate|CERT|SIGNED|ISSUER|ALTNAME|VERIFY/;

function oneLine(text: string): string {
  return excerpt(text.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim());
}

function asMap(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

const asText = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** An unsuccessful REST response. Source of the body's form: https://google.aip.dev/193#http11json-representation */
export function faultOfAnswer(status: number, body: string, retryAfter: string | null): Fault {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    // A proxy's page: only its status is useful.
  }
  const error = asMap(asMap(Array.isArray(parsed) ? parsed[0] : parsed)['error']);
  const named = CODE[asText(error['status']) as keyof typeof CODE] as number | undefined;
  const details: unknown[] = Array.isArray(error['details']) ? error['details'] : [];
  const reason = details.map((detail) => asText(asMap(detail)['reason'])).find((one) => one !== undefined);
  const seconds = Number(retryAfter ?? Number.NaN);
  // A "not found" from anything but the service is about the address, not about a secret.
  const foreign = status >= 300 && status < 500 && status !== 429 && parsed === undefined;
  return new Fault({
    code: foreign ? undefined : (named ?? codeOfStatus(status)),
    text: asText(error['message']),
    reason,
    ...(foreign && { system: `status ${status} without Google’s words`, permanent: true }),
    ...(seconds >= 0 && { retryAfterMs: seconds * 1000 }),
  });
}

/** Errors that the client library rejects with. gRPC's errors have a code; anything else is an unreadable response. */
export function faultOfThrown(thrown: unknown): Fault | SecretsError {
  if (thrown instanceof Fault || thrown instanceof SecretsError) return thrown;
  const { code, details, message, reason, cause } = asMap(thrown);
  if (cause instanceof Fault || cause instanceof SecretsError) return cause;
  if (typeof code === 'number' && code > 0 && code <= CODE.UNAUTHENTICATED) {
    const text = asText(details) ?? asText(message) ?? '';
    // grpc-js uses these words if no connection could be made at all.
    const [system] = /ECONNREFUSED|ENOTFOUND|ECONNRESET|[a-z-]* ?certificate/.exec(text) ?? [];
    const none = code === CODE.UNAVAILABLE && system !== undefined;
    return new Fault({ ...(none ? { system } : { code }), text, reason: asText(reason), cause: thrown });
  }
  // The library's message may quote the response, which may be a secret.
  return new Fault({ system: 'the answer can’t be read', permanent: true, cause: thrown });
}

/** Whether the error leaves the outcome of a change unknown. */
export function inDoubt(error: unknown): boolean {
  return error instanceof SecretsError && error.kind === 'Unavailable' && error.message.endsWith(IN_DOUBT);
}

/** Facts about a call for its error messages. */
export interface CallFacts {
  readonly method: string;
  /** Whether it changes something. */
  readonly writes: boolean;
  readonly principal: string;
  readonly source: string;
  readonly project: string;
  /** A service other than Secret Manager: its name in host names and its title. */
  readonly service?: { readonly api: string; readonly title: string } | undefined;
}

/** The least privileged role that may call a method: https://cloud.google.com/secret-manager/docs/access-control */
export function roleFor(method: string): string {
  switch (method) {
    case 'accessSecretVersion':
      return 'roles/secretmanager.secretAccessor';
    case 'addSecretVersion':
      return 'roles/secretmanager.secretVersionAdder';
    case 'disableSecretVersion':
    case 'enableSecretVersion':
    case 'destroySecretVersion':
      return 'roles/secretmanager.secretVersionManager';
    case 'getIamPolicy':
    case 'getSecret':
    case 'getSecretVersion':
    case 'listSecrets':
    case 'listSecretVersions':
      return 'roles/secretmanager.viewer';
    case 'entries.list':
      return 'roles/logging.privateLogViewer (logging.privateLogEntries.list)';
    case 'projects.getIamPolicy':
      return 'resourcemanager.projects.getIamPolicy';
    default:
      return 'roles/secretmanager.admin';
  }
}

export function translate(fault: Fault | SecretsError, call: CallFacts): SecretsError {
  if (fault instanceof SecretsError) return fault;
  const fail = (kind: ErrorKind, message: string, hint?: string): SecretsError =>
    new SecretsError(kind, message, { hint, cause: fault });
  switch (fault.code) {
    case undefined:
      return unanswered(fault, call);
    case CODE.INVALID_ARGUMENT:
    case CODE.FAILED_PRECONDITION:
    case CODE.OUT_OF_RANGE:
      return fail('Invalid', fault.text || 'Google refuses the request');
    case CODE.NOT_FOUND:
      if (call.service !== undefined)
        return fail(
          'NotFound',
          `${call.service.title} knows no project ${call.project}`,
          'check the project setting or GOOGLE_CLOUD_PROJECT',
        );
      return fail('NotFound', 'not found', 'secrets list shows the names');
    case CODE.ALREADY_EXISTS:
      return alreadyExists(fault);
    case CODE.ABORTED:
      return changedMeanwhile(fault);
    case CODE.PERMISSION_DENIED:
      return denied(fault, call);
    case CODE.UNAUTHENTICATED:
      return fail(
        'Unauthenticated',
        `Google does not accept the credential of ${call.principal} (${call.source})`,
        'sign in again: gcloud auth application-default login; or check the key and this machine’s clock',
      );
    case CODE.RESOURCE_EXHAUSTED:
      return fail('Throttled', 'Google’s quota is used up or it asks to slow down', 'try again later');
    case CODE.UNIMPLEMENTED:
      return fail('Unsupported', `the endpoint does not serve ${call.method}`, 'check the endpoint setting');
    default: {
      const unknown = call.writes ? IN_DOUBT : '';
      return fail('Unavailable', `Google failed (code ${fault.code})${unknown}`, 'try again');
    }
  }
}

function denied(fault: Fault, { method, principal, source, project, service }: CallFacts): SecretsError {
  const { api, title } = service ?? { api: 'secretmanager', title: 'Secret Manager' };
  const fail = (message: string, hint: string): SecretsError =>
    new SecretsError('Denied', message, { hint, cause: fault });
  if (fault.reason === 'SERVICE_DISABLED' || /has not been used in project|is disabled/.test(fault.text))
    return fail(
      `the ${title} API is not enabled in project ${project}`,
      `gcloud services enable ${api}.googleapis.com --project ${project}`,
    );
  if (fault.reason === 'CONSUMER_INVALID' || /on resource project/i.test(fault.text))
    return fail(
      `${principal} (${source}) may not use project ${project}, or there is none of that name`,
      'check the project setting or GOOGLE_CLOUD_PROJECT',
    );
  return fail(
    `${principal} (${source}) is not allowed to do this, or it does not exist`,
    `grant ${roleFor(method)} on ${service === undefined ? 'the secret or the project' : `project ${project}`}`,
  );
}

function unanswered(fault: Fault, { writes, service }: CallFacts): SecretsError {
  const why = fault.system ?? 'no answer';
  const fail = (message: string, hint: string): SecretsError =>
    new SecretsError('Unavailable', message, { hint, cause: fault });
  if (UNTRUSTED.test(why))
    return fail(
      `the server’s certificate is not trusted (${why})`,
      'name its authority in the store’s ca setting or NODE_EXTRA_CA_CERTS',
    );
  const unsent = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ENETUNREACH/.test(why);
  const unknown = writes && !unsent ? IN_DOUBT : '';
  return fail(
    `cannot reach Google ${service?.title ?? 'Secret Manager'} (${why})${unknown}`,
    'check the network and the endpoint: secrets doctor',
  );
}

/** The code of the original error; `undefined` for an error that doesn't come from the service. */
export function codeUnder(error: unknown): number | undefined {
  const { cause } = asMap(error);
  return cause instanceof Fault ? cause.code : undefined;
}
