/**
 * One client of @google-cloud/secret-manager, over REST or gRPC, and its calls: signed in, with a deadline, with
 * retries where they are harmless, and with uniform errors.
 *
 * Calls bypass the client's wrapped methods and use what they wrap (`innerApiCalls`), which can be cancelled and
 * doesn't pass requests and responses, which are secrets, to the library's logging.
 */
import { setMaxListeners } from 'node:events';
import { IN_DOUBT, outOfTime, SecretsError } from '../../core/errors.ts';
import { sleep } from '../../core/waiting.ts';
import { readPinnedText } from '../../platform/pinned.ts';
import type { Identity, KnownIdentity } from '../provider.ts';
import type { ProviderContext } from '../descriptor.ts';
import { version } from '../../core/version.ts';
import { type CallFacts, CODE, Fault, faultOfAnswer, faultOfThrown, translate } from './errors.ts';
import { checkUrl, isLoopback } from '../../platform/net/address.ts';
import { Http, withDeadline } from './http.ts';
import type { GcpSettings } from './settings.ts';
import { GOOGLE, signIn, type SignedIn } from './sign-in.ts';

const ATTEMPTS = 4;
/** The longest Retry-After that is honoured. */
const LONGEST_WAIT_MS = 10_000;

/** The used part of the generated client; both transports have the same class. */
export interface RpcClient {
  initialize(): Promise<unknown>;
  readonly innerApiCalls: Readonly<Record<string, Rpc | undefined>>;
  close(): Promise<void>;
}

type Rpc = (request: object, options: object) => Promise<readonly unknown[]> & { cancel(): void };

/** Methods that change nothing, so they can be repeated after any error. */
const READS = new Set([
  'accessSecretVersion',
  'getIamPolicy',
  'getSecret',
  'getSecretVersion',
  'listSecrets',
  'listSecretVersions',
  'testIamPermissions',
]);

/** Another Google service. */
export interface OtherService {
  /** The first part of its host name, which gcloud's variables use too. */
  readonly api: string;
  readonly title: string;
  /** The method, for error messages. */
  readonly method: string;
}

/** Shows in the audit logs which calls came from `secrets`. */
const AGENT = `secrets/${version}`;

interface Opened {
  readonly client: RpcClient;
  readonly signedIn: SignedIn;
}

export class GcpService {
  readonly #settings: GcpSettings;
  readonly #context: ProviderContext;
  readonly #universe: string;
  readonly #endpoint: URL;
  readonly #http: Http;
  readonly #ca: string | undefined;
  #opened: Promise<Opened> | undefined;
  #identity: Identity | undefined;

  constructor(settings: GcpSettings, context: ProviderContext) {
    const { env } = context;
    this.#settings = settings;
    this.#context = context;
    this.#universe = settings['universe-domain'] ?? (env['GOOGLE_CLOUD_UNIVERSE_DOMAIN'] || GOOGLE);
    if (!/^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(this.#universe))
      throw new SecretsError('Usage', 'universe-domain is not a domain');
    const { location } = settings;
    const own = settings.endpoint ?? (env['CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER'] || undefined);
    // Source: https://cloud.google.com/secret-manager/docs/locations
    const usual = location
      ? `secretmanager.${location}.rep.${this.#universe}`
      : `secretmanager.${this.#universe}`;
    this.#endpoint = checkUrl(own ?? `https://${usual}`, 'the endpoint');
    if (settings.transport === 'grpc' && this.#endpoint.protocol !== 'https:')
      throw new SecretsError('Usage', 'transport grpc needs an https endpoint');
    this.#ca = settings.ca === undefined ? undefined : readCa(settings.ca);
    this.#http = new Http(this.#ca, env);
  }

  get endpoint(): string {
    return this.#endpoint.origin;
  }

  /** The project's id from the settings or the credential. */
  async project(signal: AbortSignal): Promise<string> {
    return (await this.#open(signal)).signedIn.project;
  }

  /** `projects/P` or `projects/P/locations/L`: the start of the secrets' resource names. */
  async parent(signal: AbortSignal): Promise<string> {
    const { signedIn } = await this.#open(signal);
    const { location } = this.#settings;
    return `projects/${signedIn.project}${location ? `/locations/${location}` : ''}`;
  }

  async identity(signal: AbortSignal): Promise<Identity> {
    const { signedIn } = await this.#open(signal);
    return { ...signedIn.identity, details: { project: signedIn.project } };
  }

  /** The caller's identity, once the credential has been found. */
  knownIdentity(): KnownIdentity | undefined {
    return this.#identity;
  }

  /** Makes one call by its name in the client. @throws SecretsError */
  async call<T>(method: string, request: object, signal: AbortSignal): Promise<T> {
    const [answer] = await this.#call(method, request, signal);
    return answer as T;
  }

  /** One page of a list. @throws SecretsError */
  async page<T>(method: string, request: object, signal: AbortSignal): Promise<T> {
    const [, , whole] = await this.#call(method, request, signal);
    return whole as T;
  }

  /**
   * A read-only call to another Google service: posts JSON to a path of its REST API.
   * @throws SecretsError
   */
  async ask(
    { api, title, method }: OtherService,
    path: string,
    body: object,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, unknown>>> {
    const { signedIn } = await this.#open(signal);
    const url = new URL(path, this.#originOf(api));
    const once = async (): Promise<Readonly<Record<string, unknown>>> => {
      const headers = new Headers(await signedIn.headers());
      headers.set('content-type', 'application/json');
      headers.set('user-agent', AGENT);
      const answer = await this.#http.fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
      const text = await answer.text();
      if (!answer.ok) throw faultOfAnswer(answer.status, text, answer.headers.get('retry-after'));
      try {
        const parsed: unknown = JSON.parse(text);
        if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as never;
      } catch {
        // The parser's message may quote the response.
      }
      throw new Fault({ system: 'the answer can’t be read', permanent: true });
    };
    return this.#repeat(method, false, signal, () => withDeadline(signal, () => race(signal, once())), {
      api,
      title,
    });
  }

  /** The address of another service: the configured one, that of the store's emulator, or Google's own. */
  #originOf(api: string): URL {
    const told = this.#context.env[`CLOUDSDK_API_ENDPOINT_OVERRIDES_${api.toUpperCase()}`] || undefined;
    const set = api === 'logging' ? this.#settings['logging-endpoint'] : undefined;
    const beside = isLoopback(this.#endpoint.hostname) ? this.endpoint : undefined;
    return checkUrl(set ?? told ?? beside ?? `https://${api}.${this.#universe}`, `the endpoint of ${api}`);
  }

  async #call(method: string, request: object, signal: AbortSignal): Promise<readonly unknown[]> {
    const { client } = await this.#open(signal);
    return this.#repeat(method, !READS.has(method), signal, () =>
      this.#once(client, method, request, signal),
    );
  }

  /** Makes a call, and repeats it where that is harmless and may help. */
  async #repeat<T>(
    method: string,
    writes: boolean,
    signal: AbortSignal,
    once: () => Promise<T>,
    service?: CallFacts['service'],
  ): Promise<T> {
    const { signedIn } = await this.#open(signal);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await once();
      } catch (thrown) {
        if (signal.aborted) throw outOfTime(signal.reason, writes ? IN_DOUBT : '');
        const fault = faultOfThrown(thrown);
        const wait =
          fault instanceof Fault && attempt < ATTEMPTS ? pauseBefore(fault, attempt, writes) : undefined;
        if (wait === undefined)
          throw translate(fault, {
            method,
            writes,
            ...signedIn.identity,
            project: signedIn.project,
            service,
          });
        await pause(wait, signal);
      }
    }
  }

  /** A single attempt, which ends when the signal aborts. */
  #once(
    client: RpcClient,
    method: string,
    request: object,
    signal: AbortSignal,
  ): Promise<readonly unknown[]> {
    return withDeadline(signal, () => {
      const rpc = client.innerApiCalls[method];
      if (rpc === undefined) throw new SecretsError('Unsupported', `the client has no ${method}`);
      const running = rpc(request, {
        // Retries happen here, where Retry-After is known; pages are requested one at a time.
        retry: { retryCodes: [] },
        autoPaginate: false,
        otherArgs: { headers: { 'x-goog-request-params': routing(request) } },
      });
      return race(signal, running, () => running.cancel());
    });
  }

  #open(signal: AbortSignal): Promise<Opened> {
    if (signal.aborted)
      return Promise.reject(
        new SecretsError('Unavailable', 'stopped before the call', { cause: signal.reason as unknown }),
      );
    // A command's calls share one signal, so Node's warning about listener leaks would be wrong.
    setMaxListeners(0, signal);
    this.#opened ??= withDeadline(signal, () => this.#connect()).catch((thrown: unknown) => {
      this.#opened = undefined;
      throw thrown;
    });
    return race(signal, this.#opened).catch((thrown: unknown) => {
      throw signal.aborted ? outOfTime(signal.reason) : thrown;
    });
  }

  async #connect(): Promise<Opened> {
    const signedIn = await signIn(this.#settings, this.#context, this.#universe, this.#http.fetch);
    this.#identity = signedIn.identity;
    const { principal, source } = signedIn.identity;
    this.#context.debug(`${principal} from ${source}, project ${signedIn.project}, at ${this.endpoint}`);
    const { hostname, port, protocol } = this.#endpoint;
    const options = {
      apiEndpoint: hostname,
      port: Number(port) || (protocol === 'http:' ? 80 : 443),
      universeDomain: this.#universe,
    };
    const { SecretManagerServiceClient } =
      await import('@google-cloud/secret-manager/build/src/v1/secret_manager_service_client.js');
    let client: RpcClient;
    if (this.#settings.transport === 'grpc') {
      const { grpcOptions } = await import('./grpc.ts');
      const { gax, ...more } = await grpcOptions(signedIn, this.#ca);
      client = new SecretManagerServiceClient({ ...options, ...more }, gax as never) as never;
    } else {
      // The part of google-gax without gRPC, as described in the client's documentation.
      const fallback = await import('google-gax/fallback');
      const rest = {
        ...options,
        fallback: true,
        protocol: protocol.slice(0, -1),
        auth: this.#restAuth(signedIn),
      };
      client = new SecretManagerServiceClient(rest as never, { fallback } as never) as never;
    }
    await client.initialize();
    return { client, signedIn };
  }

  /** The authentication client that google-gax expects: ours, so that an error keeps its status and Retry-After. */
  #restAuth(signedIn: SignedIn): object {
    const getRequestHeaders = (): Promise<Headers> => signedIn.headers();
    return {
      getRequestHeaders,
      fetch: async (url: string, init: RequestInit): Promise<Response> => {
        const headers = new Headers(init.headers);
        for (const [name, value] of await signedIn.headers()) headers.set(name, value);
        headers.set('user-agent', AGENT);
        const answer = await this.#http.fetch(url, { ...init, headers });
        if (answer.ok) return answer;
        throw faultOfAnswer(answer.status, await answer.text(), answer.headers.get('retry-after'));
      },
    };
  }

  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.client.close().catch(() => undefined);
    await this.#http.close();
  }
}

/**
 * Milliseconds until the next attempt; `undefined` for none. A rate-limited call did nothing, so any call may be
 * repeated; after other faults only reads.
 */
function pauseBefore(fault: Fault, attempt: number, writes: boolean): number | undefined {
  if (fault.permanent) return undefined;
  const throttled = fault.code === CODE.RESOURCE_EXHAUSTED;
  const passing =
    fault.code === undefined ||
    fault.code === CODE.INTERNAL ||
    fault.code === CODE.UNAVAILABLE ||
    fault.code === CODE.UNKNOWN;
  if (!throttled && (writes || !passing)) return undefined;
  // A wait that long is for the user to decide.
  if (fault.retryAfterMs !== undefined && fault.retryAfterMs > LONGEST_WAIT_MS) return undefined;
  return fault.retryAfterMs ?? 100 * 2 ** attempt * (0.5 + Math.random() / 2);
}

/** The header that Google's front ends use for routing: https://google.aip.dev/client-libraries/4222 */
function routing(request: object): string {
  const { name, parent, resource, secret } = request as {
    name?: string;
    parent?: string;
    resource?: string;
    secret?: { name?: string };
  };
  if (name !== undefined) return `name=${encodeURIComponent(name)}`;
  if (parent !== undefined) return `parent=${encodeURIComponent(parent)}`;
  if (resource !== undefined) return `resource=${encodeURIComponent(resource)}`;
  return `secret.name=${encodeURIComponent(secret?.name ?? '')}`;
}

/** Waits, and keeps the process alive, which nothing else does in the meantime. @throws SecretsError when time is up */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, signal, true);
  if (signal.aborted) throw outOfTime(signal.reason);
}

/**
 * A signal that also aborts after so many milliseconds; `end` clears its timer. Not AbortSignal.any of
 * AbortSignal.timeout: Node 20 garbage-collects the latter, and then it never aborts.
 */
export function limited(signal: AbortSignal, ms: number): { readonly signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const stop = (): void => controller.abort(signal.reason);
  const timer = setTimeout(() => controller.abort(new DOMException('time is up', 'TimeoutError')), ms);
  signal.addEventListener('abort', stop, { once: true });
  return {
    signal: controller.signal,
    end: () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    },
  };
}

/** The work's outcome, unless the signal aborts first. */
function race<T>(signal: AbortSignal, work: Promise<T>, cancel = (): void => undefined): Promise<T> {
  const stopped = deferred<never>();
  const stop = (): void => {
    cancel();
    stopped.reject(signal.reason);
  };
  signal.addEventListener('abort', stop, { once: true });
  return Promise.race([work, stopped.promise]).finally(() => signal.removeEventListener('abort', stop));
}

function deferred<T>(): { promise: Promise<T>; reject(reason: unknown): void } {
  let reject: (reason: unknown) => void = () => undefined;
  const promise = new Promise<T>((_, refuse) => {
    reject = refuse;
  });
  // The rejection is meant for a race, but there may be none.
  promise.catch(() => undefined);
  return { promise, reject };
}

function readCa(path: string): string {
  try {
    return readPinnedText(path);
  } catch (thrown) {
    if (thrown instanceof SecretsError) throw thrown;
    throw new SecretsError('Usage', `cannot read the CA certificate: ${path}`, { cause: thrown });
  }
}
