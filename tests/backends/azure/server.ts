/**
 * A test double of Azure Key Vault (secrets) and of the sign-in it needs, written from the published definitions.
 *
 * Everything is behind TLS of a test authority. It answers for the clouds' real host names: a client reaches them
 * through the HTTP proxy that it also is (HTTPS_PROXY), so that a client runs with its defaults, verification and
 * all. As 127.0.0.1 it is the first vault. ../README.md says what it enforces and what it can't show.
 */
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { ERROR_SHAPE, findFault, findOperation, type Operation } from './definition.ts';
import type { Entra, Token } from './entra.ts';
import { type Arm, ARM_HOST } from './arm.ts';
import { LOGS_HOST, type Workspace } from './logs.ts';
import { Refusal, type SetBody, type Vault } from './vault.ts';

/** Data actions of Azure's roles for secrets. Source: https://learn.microsoft.com/azure/key-vault/general/rbac-guide */
const ACTIONS: Readonly<Record<string, string>> = {
  GetSecrets: 'readMetadata/action',
  GetSecretVersions: 'readMetadata/action',
  GetDeletedSecrets: 'readMetadata/action',
  GetDeletedSecret: 'readMetadata/action',
  GetSecret: 'getSecret/action',
  SetSecret: 'setSecret/action',
  UpdateSecret: 'update/action',
  DeleteSecret: 'delete',
  RecoverDeletedSecret: 'recover/action',
  PurgeDeletedSecret: 'purge/action',
};

/** What the roles allow; the last two are custom roles. */
export const ROLES = {
  officer: [
    'readMetadata/action',
    'getSecret/action',
    'setSecret/action',
    'update/action',
    'delete',
    'recover/action',
    'purge/action',
  ],
  user: ['readMetadata/action', 'getSecret/action'],
  reader: ['readMetadata/action'],
  writer: ['setSecret/action'],
  'officer-without-purge': [
    'readMetadata/action',
    'getSecret/action',
    'setSecret/action',
    'update/action',
    'delete',
    'recover/action',
  ],
} as const satisfies Record<string, readonly string[]>;

export type Role = keyof typeof ROLES;

/** Ids of built-in roles, as role assignments name them. Source: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/security */
const ROLE_IDS: Readonly<Record<string, readonly string[]>> = {
  '4633458b-17de-408a-b874-0445c86b69e6': ROLES.user,
  'b86a8fe4-44ce-4948-aee5-eccb2c155cd7': ROLES.officer,
  '21090545-7ca7-4776-b22c-e363652d74d2': ROLES.reader,
};

const VERSIONS = ['7.0', '7.1', '7.2', '7.3', '7.4', '7.5', '7.6', '2025-07-01'];
const LOOPBACK = /^(127\.0\.0\.1|localhost)$/;

export interface ServerOptions {
  readonly tls: { readonly key: string; readonly cert: string };
  readonly entra: Entra;
  readonly vaults: readonly Vault[];
  /** Sign-in hosts, by the end of the vaults' host names that they are for. */
  readonly authorities: Readonly<Record<string, string>>;
  /** More sign-in hosts. */
  readonly otherAuthorities: readonly string[];
  /** By object id. Nobody else may do anything. */
  readonly roles: ReadonlyMap<string, Role>;
  /** Where role assignments are, and where a vault's owner makes them. */
  readonly arm: Arm;
  /** Where the vaults' logs go. */
  readonly workspace: Workspace;
}

export interface AzureServer {
  /** The vaults and the sign-in, over TLS. */
  readonly url: string;
  /** The proxy, and the managed identities' endpoints, over plain http. */
  readonly proxyUrl: string;
  /** Exchanges that do not fit the published definition. */
  readonly problems: readonly string[];
  /** Operations served so far, as `GetSecret tests/name`. */
  readonly log: string[];
  stop(): Promise<void>;
}

/** What is known of a call by the time it is answered. */
interface Seen {
  token?: Token;
  operation?: string;
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export async function startServer(options: ServerOptions): Promise<AzureServer> {
  const problems: string[] = [];
  const log: string[] = [];
  const { entra } = options;
  const hosts = new Map(options.vaults.map((vault) => [new URL(vault.url).host, vault]));
  const authorities = new Set([...Object.values(options.authorities), ...options.otherAuthorities]);

  const respond = async (request: http.IncomingMessage): Promise<Answer> => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces).toString('utf8');
    const host = (request.headers.host ?? '').replace(/:443$/, '');
    const url = new URL(request.url ?? '/', `https://${host}`);
    const { method = 'GET', headers } = request;
    if (authorities.has(host)) return entra.handle(method, host, url, headers['content-type'] ?? '', body);
    if (host === LOGS_HOST || url.pathname.startsWith('/v1/workspaces/'))
      return options.workspace.handle(method, url, entra, headers.authorization, body);
    if (host === ARM_HOST) {
      const call = { authorization: headers.authorization, body };
      return options.arm.handle(method, url, entra, options.vaults, call);
    }
    const vault = LOOPBACK.test(url.hostname) ? options.vaults[0] : hosts.get(host);
    if (vault === undefined) return { status: 404, body: {} };
    return serveVault(vault, { method, url, headers, body });
  };

  interface Call {
    readonly method: string;
    readonly url: URL;
    readonly headers: http.IncomingHttpHeaders;
    readonly body: string;
  }

  const serveVault = (vault: Vault, call: Call): Answer => {
    const requestId = randomUUID();
    const seen: Seen = {};
    const answer = answerOrRefuse(vault, call, seen);
    const { url, headers } = call;
    options.workspace.note({
      ...seen,
      vault: vault.options.name,
      url: new URL(url.pathname + url.search, vault.url).href,
      status: answer.status,
      requestId,
      agent: headers['user-agent'] ?? '',
      id: (answer.body as { id?: string } | undefined)?.id,
    });
    return { ...answer, headers: { ...answer.headers, 'x-ms-request-id': requestId } };
  };

  const answerOrRefuse = (vault: Vault, call: Call, seen: Seen): Answer => {
    try {
      const { answer, operation } = answerVault(vault, call, seen);
      const fault = operation.answer === undefined ? undefined : findFault(operation.answer, answer.body);
      if (fault !== undefined) problems.push(`answer of ${operation.id}: ${fault}`);
      return answer;
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      const { status, code, message, inner } = thrown;
      const body = { error: { code, message, ...(inner !== undefined && { innererror: { code: inner } }) } };
      const fault = findFault(ERROR_SHAPE, body);
      if (fault !== undefined) problems.push(`error: ${fault}`);
      return { status, body, ...(status === 401 && { headers: challenge(vault) }) };
    }
  };

  const challenge = (vault: Vault): Record<string, string> => {
    const { tenant, suffix } = vault.options;
    const authority = options.authorities[suffix] ?? '';
    return {
      'www-authenticate': `Bearer authorization="https://${authority}/${tenant}", resource="https://${suffix}"`,
    };
  };

  const answerVault = (vault: Vault, call: Call, seen: Seen): { answer: Answer; operation: Operation } => {
    const { method, url, headers } = call;
    // A client may ask without a token and a body, to be told where to get one.
    const token = authenticate(vault, headers.authorization);
    const found = findOperation(method, url.pathname);
    if (found === undefined) {
      problems.push(`${method} ${url.pathname} is no operation`);
      throw new Refusal(405, 'MethodNotAllowed', 'The HTTP method is not allowed here.');
    }
    const { operation, parameters } = found;
    Object.assign(seen, { token, operation: operation.id });
    log.push(`${operation.id} ${[vault.options.name, ...parameters.filter(Boolean)].join('/')}`);
    checkQuery(operation, url.searchParams);
    authorize(vault, token, operation, parameters[0]);
    const parsed = operation.request === undefined ? undefined : parseBody(operation, call);
    const body = run(vault, operation, parameters, url, parsed);
    return { operation, answer: { status: operation.status, ...(body !== undefined && { body }) } };
  };

  const authenticate = (vault: Vault, header: string | undefined): Token => {
    const [, text] = /^Bearer (.+)$/.exec(header ?? '') ?? [];
    if (text === undefined)
      throw new Refusal(401, 'Unauthorized', 'AKV10000: Request is missing a Bearer or PoP token.');
    const token = entra.verify(text);
    if (token === undefined)
      throw new Refusal(401, 'Unauthorized', 'AKV10001: The token is invalid or has expired.');
    if (token.audience !== `https://${vault.options.suffix}`)
      throw new Refusal(401, 'Unauthorized', 'AKV10022: Invalid audience.');
    if (token.tenant !== vault.options.tenant)
      throw new Refusal(401, 'Unauthorized', 'AKV10032: Invalid issuer.');
    return token;
  };

  const checkQuery = (operation: Operation, query: URLSearchParams): void => {
    const version = query.get('api-version');
    if (version === null) throw new Refusal(400, 'BadParameter', 'api-version must be specified');
    if (!VERSIONS.includes(version))
      throw new Refusal(400, 'BadParameter', `The specified version (${version}) is not recognized.`);
    for (const name of query.keys())
      if (name !== 'api-version' && !operation.query.includes(name))
        problems.push(`query of ${operation.id}: ${name} is unknown`);
  };

  const authorize = (vault: Vault, token: Token, operation: Operation, name = ''): void => {
    const role = options.roles.get(token.objectId);
    const action = ACTIONS[operation.id] ?? '';
    if (role !== undefined && (ROLES[role] as readonly string[]).includes(action)) return;
    const assigned = options.arm.rolesOn(vault.options.name, name, token.objectId);
    if (assigned.some((id) => ROLE_IDS[id]?.includes(action) === true)) return;
    const lines = [
      'Caller is not authorized to perform action on resource.',
      'If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.',
      `Caller: appid=${token.clientId ?? ''};oid=${token.objectId};iss=https://sts.windows.net/${token.tenant}/`,
      `Action: 'Microsoft.KeyVault/vaults/secrets/${action}'`,
      `Resource: '/subscriptions/s/resourcegroups/g/providers/microsoft.keyvault/vaults/${vault.options.name}/secrets/${name}'`,
      'Assignment: (not found)',
      'DecisionReason: null',
      `Vault: ${vault.options.name};location=westeurope`,
    ];
    throw new Refusal(403, 'Forbidden', lines.join('\r\n'), 'ForbiddenByRbac');
  };

  const parseBody = (operation: Operation, { headers, body }: Call): unknown => {
    if (!/^application\/json\b/.test(headers['content-type'] ?? ''))
      throw new Refusal(415, 'UnsupportedMediaType', 'The content type must be application/json.');
    let parsed: unknown;
    try {
      parsed = JSON.parse(body);
    } catch {
      throw new Refusal(400, 'BadParameter', 'The request body is not valid JSON.');
    }
    const fault = findFault(operation.request as object, parsed);
    if (fault !== undefined) {
      problems.push(`request of ${operation.id}: ${fault}`);
      throw new Refusal(400, 'BadParameter', 'The request body does not fit.');
    }
    return parsed;
  };

  const tlsServer = https.createServer(options.tls, listener(respond));
  const local = http.createServer(
    listener((request) => {
      request.resume();
      // A plain request to another host, sent to us as its proxy, such as the look for IMDS where there is none.
      if (request.url?.startsWith('/') !== true) return Promise.resolve({ status: 502 });
      const url = new URL(request.url, 'http://127.0.0.1');
      return Promise.resolve(entra.handleLocal(url, request.headers));
    }),
  );
  const sockets = new Set<Socket>();
  for (const server of [tlsServer, local])
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => sockets.delete(socket));
    });
  local.on('connect', (request: http.IncomingMessage, socket: Socket) => {
    const [host = '', port] = (request.url ?? '').split(':');
    if (
      port !== '443' ||
      !(hosts.has(host) || authorities.has(host) || host === LOGS_HOST || host === ARM_HOST)
    ) {
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
      return;
    }
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    tlsServer.emit('connection', socket);
  });
  const portOf = async (server: http.Server): Promise<number> => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  };
  const [port, localPort] = [await portOf(tlsServer), await portOf(local)];
  return {
    url: `https://127.0.0.1:${port}`,
    proxyUrl: `http://127.0.0.1:${localPort}`,
    problems,
    log,
    stop: async () => {
      const closed = [tlsServer, local].map((server) => new Promise((resolve) => server.close(resolve)));
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    },
  };
}

function listener(respond: (request: http.IncomingMessage) => Promise<Answer>): http.RequestListener {
  const serve = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    let answer: Answer;
    try {
      answer = await respond(request);
    } catch (thrown) {
      answer = { status: 500, body: { error: { code: 'InternalServerError', message: String(thrown) } } };
    }
    const { status, headers = {}, body } = answer;
    const text = body === undefined ? '' : JSON.stringify(body);
    const type = body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' };
    // Source: https://learn.microsoft.com/azure/key-vault/general/common-parameters-and-headers
    const own = { 'x-ms-request-id': randomUUID(), 'content-length': Buffer.byteLength(text) };
    response.writeHead(status, { ...type, ...own, ...headers }).end(text);
  };
  return (request, response) => {
    serve(request, response).catch(() => request.socket.destroy());
  };
}

function run(
  vault: Vault,
  { id }: Operation,
  parameters: readonly string[],
  url: URL,
  body: unknown,
): unknown {
  const [name = '', version = ''] = parameters.map(decodeURIComponent);
  switch (id) {
    case 'SetSecret':
      return vault.set(name, body as SetBody);
    case 'GetSecret':
      return vault.get(name, version);
    case 'UpdateSecret':
      return vault.update(name, version, body as Partial<SetBody>);
    case 'DeleteSecret':
      return vault.delete(name);
    case 'GetDeletedSecret':
      return vault.getDeleted(name);
    case 'RecoverDeletedSecret':
      return vault.recover(name);
    case 'PurgeDeletedSecret':
      vault.purge(name);
      return undefined;
    case 'GetSecretVersions':
      return paged(url, (from, size) => vault.versions(name, from, size));
    default:
      return paged(url, (from, size) => vault.list(id === 'GetSecrets' ? 'live' : 'deleted', from, size));
  }
}

function paged(
  url: URL,
  list: (from: string, size: number) => { value: unknown[]; next: string | undefined },
): { value: unknown[]; nextLink: string | null } {
  const size = Number(url.searchParams.get('maxresults') ?? 25);
  if (!Number.isInteger(size) || size < 1 || size > 25)
    throw new Refusal(400, 'BadParameter', 'maxresults must be from 1 to 25');
  const token = url.searchParams.get('$skiptoken');
  const from = token === null ? '' : Buffer.from(token, 'base64url').toString();
  const { value, next } = list(from, size);
  if (next === undefined) return { value, nextLink: null };
  const link = new URL(url);
  link.searchParams.set('$skiptoken', Buffer.from(next).toString('base64url'));
  link.searchParams.set('maxresults', String(size));
  return { value, nextLink: link.href };
}
