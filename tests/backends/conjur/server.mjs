/**
 * A Conjur server for the tests, written from the OpenAPI documents in spec/ and Conjur's documentation.
 * What it enforces and what it can't show: tests/backends/README.md.
 *
 *   node server.mjs --port P --cert FILE --key FILE --account NAME --config FILE
 *
 * It prints `ready {"control": PORT, "apiKey": "…"}`; the control port is plain HTTP and the tests' own.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { parseArgs } from 'node:util';
import { byApiKey, byIam, byJwt, loginOf, roleOf, Tokens } from './authn.mjs';
import { identifierOf, Model } from './model.mjs';
import { AuditLines } from './audit.mjs';
import { problemsOf } from './openapi.mjs';
import { loadPolicy, PolicyError } from './policy.mjs';

const { values: flags } = parseArgs({
  options: {
    port: { type: 'string' },
    cert: { type: 'string' },
    key: { type: 'string' },
    account: { type: 'string' },
    config: { type: 'string' },
  },
});
/** { jwt: { SERVICE: … }, iam: { KEY_ID: … } }: what authn.mjs checks against. */
const config = flags.config === undefined ? {} : JSON.parse(readFileSync(flags.config, 'utf8'));
/** Longest request line of the usual proxies, and the largest body that nginx passes on. */
const MAX_LINE = 8192;
const MAX_BODY = 1024 * 1024;

let offsetMs = 0;
const now = () => new Date(Date.now() + offsetMs);
const { account } = flags;
const model = new Model(account, now);
const tokens = new Tokens(randomBytes(32), now);
const audit = new AuditLines(now);
const problems = [];
let log = [];
const loading = new Set();
/** Set by a test: the next policy load goes on only once another was refused because of it. */
let meeting = false;
let refusedOne = () => {};

const answer = (status, type, body, headers = {}) => ({
  status,
  type,
  body: Buffer.from(body ?? ''),
  headers,
});
const empty = (status) => answer(status);
const json = (status, value) => answer(status, 'application/json', JSON.stringify(value));
const failure = (status, code, message) => json(status, { error: { code, message } });
const notFound = (id) =>
  json(404, {
    error: {
      code: 'not_found',
      message: `${id.split(':')[1]} '${identifierOf(id)}' not found in account '${account}'`,
      target: id.split(':')[1],
      details: { code: 'not_found', target: 'id', message: id },
    },
  });
const emptyVariable = (id) => failure(404, 'not_found', `CONJ00076E Variable ${id} is empty or not found.`);
const BLANK = /^[ \t\n\v\f\r]*$/;

function token(login, request) {
  if (login === undefined) return empty(401);
  const text = JSON.stringify(tokens.make(login));
  if (request.headers['accept-encoding'] !== 'base64') return answer(200, 'text/plain', text);
  return answer(200, 'text/plain', Buffer.from(text).toString('base64'), {
    'Content-Encoding': 'base64',
  });
}

/** The routes that need no access token. */
function authenticate(request, parts) {
  if (request.method !== 'POST' || parts.at(-1) !== 'authenticate') return undefined;
  const [kind, ...rest] = parts.slice(0, -1);
  const body = request.body.toString();
  const mine = (name) => name === account;
  if (kind === 'authn' && rest.length === 2 && mine(rest[0]))
    return token(byApiKey(model, rest[1], body), request);
  if (kind === 'authn-jwt' && (rest.length === 2 || rest.length === 3) && mine(rest[1]))
    return token(byJwt(model, rest[0], config.jwt?.[rest[0]], rest[2], body, now), request);
  if (kind === 'authn-iam' && rest.length === 3 && mine(rest[1]))
    return token(byIam(model, rest[0], config.iam ?? {}, rest[2], body, now), request);
  return kind.startsWith('authn') ? empty(401) : undefined;
}

function show(request, role, id, query) {
  const resource = model.find(role, id);
  if (resource === undefined) return notFound(id);
  if (query.get('check') === 'true') {
    const privilege = query.get('privilege');
    if (privilege === null) return failure(422, 'argument_error', 'privilege');
    const asked = query.get('role') ?? role;
    if (!model.rolesOf(role).has(asked)) return empty(403);
    return empty(model.allowed(asked, privilege, resource) ? 204 : 404);
  }
  if (query.has('permitted_roles')) {
    const privilege = query.get('privilege');
    if (privilege === null) return failure(422, 'argument_error', 'privilege');
    return json(200, model.rolesThatCan(privilege, resource));
  }
  return json(200, model.json(id));
}

/** The roles API tells everybody of a role, unlike that of resources. */
function showRole(id) {
  return model.roles.has(id) ? json(200, { id, members: model.membersJson(id) }) : notFound(id);
}

function list(role, kind, query) {
  const wrong = (name, least) =>
    query.has(name) && !(/^\d+$/.test(query.get(name)) && Number(query.get(name)) >= least);
  if (wrong('limit', 1) || wrong('offset', 0))
    return failure(422, 'unprocessable_entity', 'limit or offset contains an invalid value');
  if (Number(query.get('limit') ?? 0) > 1000)
    return failure(422, 'unprocessable_entity', "'Limit' parameter must not exceed 1000");
  let found = model.list(role, kind, query.get('search') ?? undefined);
  if (query.has('limit') || query.has('offset')) {
    const offset = Number(query.get('offset') ?? 0);
    found = found.slice(offset, offset + Number(query.get('limit') ?? 10));
  }
  return json(
    200,
    found.map(([id]) => model.json(id)),
  );
}

function readSecret(role, id, query) {
  const resource = model.find(role, id);
  if (resource === undefined) return emptyVariable(id);
  if (!model.allowed(role, 'execute', resource)) return empty(403);
  const asked = query.get('version');
  if (asked !== null && !/^\d+$/.test(asked))
    return failure(422, 'argument_error', "invalid type for parameter 'version'");
  const secret =
    asked === null
      ? resource.secrets.at(-1)
      : resource.secrets.find(({ version }) => version === Number(asked));
  // The service answers application/octet-stream, or what the annotation conjur/mime_type says; the documents
  // know text/plain.
  return secret === undefined ? emptyVariable(id) : answer(200, 'text/plain', secret.value);
}

function addSecret(role, id, value) {
  const resource = model.find(role, id);
  if (resource === undefined) return notFound(id);
  if (!model.allowed(role, 'update', resource)) return empty(403);
  if (BLANK.test(value.toString('latin1'))) return failure(422, 'argument_error', "'value' may not be empty");
  model.addSecret(resource, value);
  return empty(201);
}

function readBatch(request, role, query) {
  const ids = (query.get('variable_ids') ?? '').split(',');
  if (ids.includes('')) return failure(422, 'argument_error', 'variable_ids');
  const there = [...new Set(ids)].filter((id) => model.resources.has(id));
  // Existence is not hidden here: one that can't be read refuses the whole batch.
  if (there.some((id) => !model.allowed(role, 'execute', model.resources.get(id)))) return empty(403);
  // An id that is asked for twice is missing once.
  if (there.length !== ids.length) return emptyVariable(ids.find((id) => !there.includes(id)) ?? ids[0]);
  const none = ids.find((id) => model.resources.get(id).secrets.length === 0);
  if (none !== undefined) return emptyVariable(none);
  const values = ids.map((id) => [id, model.resources.get(id).secrets.at(-1).value]);
  if (String(request.headers['accept-encoding']).toLowerCase() === 'base64') {
    // As Ruby encodes: a newline after every 60 characters.
    const lines = (value) => value.toString('base64').replaceAll(/.{1,60}/g, '$&\n');
    const found = json(200, Object.fromEntries(values.map(([id, value]) => [id, lines(value)])));
    found.headers['Content-Encoding'] = 'base64';
    return found;
  }
  if (values.some(([, value]) => !Buffer.from(value.toString('utf8')).equals(value)))
    return failure(406, 'not_acceptable', 'Issue encoding secret into JSON format');
  return json(200, Object.fromEntries(values.map(([id, value]) => [id, value.toString()])));
}

/** What Conjur notes of an exchange; `before` are the resources that there were. */
function note({ role, what, kind, id, query, reads }, status, before) {
  const ok = status < 400;
  const why = status === 403 ? 'Forbidden' : 'CONJ00076E Variable is empty or not found.';
  const say = (event) => audit.add({ user: role, ok, why, ...event });
  const version = query.get('version') ?? undefined;
  if (what === 'secrets' && id === undefined) {
    for (const one of ok ? query.get('variable_ids').split(',') : [])
      say({ type: 'fetch', operation: 'fetch', subject: { resource: one } });
  } else if (what === 'secrets' && reads)
    say({ type: 'fetch', operation: 'fetch', subject: { resource: id, version } });
  else if (what === 'secrets') say({ type: 'update', operation: 'update', subject: { resource: id } });
  else if (what === 'resources' && id === undefined)
    say({ type: 'list', operation: 'list', subject: { account, kind } });
  else if (what === 'resources' && query.get('check') === 'true')
    say({
      type: 'check',
      operation: 'check',
      subject: { resource: id, role, privilege: query.get('privilege') },
    });
  else if (what === 'resources') say({ type: 'resource', operation: 'get', subject: { resource: id } });
  else if (what === 'policies' && ok) {
    for (const one of model.resources.keys())
      if (!before.has(one)) say({ type: 'policy', operation: 'add', subject: { resource: one } });
    for (const one of before)
      if (!model.resources.has(one)) say({ type: 'policy', operation: 'remove', subject: { resource: one } });
  }
}

async function changePolicy(role, id, text, method) {
  const resource = model.find(role, id);
  if (resource === undefined) return notFound(id);
  if (!model.allowed(role, method === 'POST' ? 'create' : 'update', resource)) return empty(403);
  if (loading.has(id)) {
    refusedOne();
    const busy = failure(409, 'policy_conflict', 'Concurrent policy load in progress, please retry');
    busy.headers['Retry-After'] = '1';
    return busy;
  }
  loading.add(id);
  try {
    if (meeting) {
      meeting = false;
      await new Promise((resolve) => {
        refusedOne = resolve;
      });
    }
    return json(201, loadPolicy(model, id, text, method === 'PATCH'));
  } catch (thrown) {
    if (!(thrown instanceof PolicyError)) throw thrown;
    return failure(422, 'policy_invalid', thrown.message);
  } finally {
    loading.delete(id);
  }
}

async function route(request) {
  if (request.url.length > MAX_LINE) return empty(414);
  if (request.body.length > MAX_BODY) return empty(413);
  const url = new URL(request.url, 'https://conjur');
  const parts = url.pathname.split('/').slice(1).map(decodeURIComponent);
  const signedIn = authenticate(request, parts);
  if (signedIn !== undefined) return signedIn;
  const caller = tokens.read(request.headers.authorization);
  if (caller === undefined) return empty(401);
  const role = roleOf(account, caller.login);
  if (!model.roles.has(role)) return empty(403);
  const [what, owner, kind, ...rest] = parts;
  const id = `${owner}:${kind}:${rest.join('/')}`;
  const reads = request.method === 'GET';
  const query = url.searchParams;
  const listing = owner === undefined || (what === 'resources' && rest.length === 0);
  const before = new Set(model.resources.keys());
  const given = await serveRole(request, { role, caller, what, owner, kind, rest, id, reads, query });
  note({ role, what, kind, id: listing ? undefined : id, query, reads }, given.status, before);
  return given;
}

async function serveRole(request, { role, caller, what, owner, kind, rest, id, reads, query }) {
  if (what === 'whoami' && reads)
    return json(200, {
      client_ip: '127.0.0.1',
      user_agent: request.headers['user-agent'] ?? '',
      account,
      username: loginOf(role),
      token_issued_at: new Date(caller.iat * 1000).toISOString(),
    });
  if (what === 'secrets' && reads && owner === undefined) return readBatch(request, role, query);
  if (what === 'secrets' && reads) return readSecret(role, id, query);
  if (what === 'secrets' && request.method === 'POST') return addSecret(role, id, request.body);
  if (what === 'resources' && reads && rest.length === 0 && owner === account) return list(role, kind, query);
  if (what === 'resources' && reads) return show(request, role, id, query);
  if (what === 'roles' && reads && owner === account && rest.length > 0) return showRole(id);
  if (what === 'policies' && kind === 'policy' && (request.method === 'PATCH' || request.method === 'POST'))
    return changePolicy(role, id, request.body.toString('utf8'), request.method);
  return empty(404);
}

async function bodyOf(message) {
  const pieces = [];
  for await (const piece of message) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function serve(message, response) {
  try {
    const { method, url, headers } = message;
    const request = { method, url, headers, body: await bodyOf(message) };
    const given = await route(request);
    log.push(`${method} ${url} ${given.status}`);
    problems.push(...problemsOf(request, given));
    response.writeHead(given.status, {
      Date: now().toUTCString(),
      ...given.headers,
      ...(given.type !== undefined && { 'Content-Type': given.type }),
      'Content-Length': given.body.length,
    });
    response.end(given.body);
  } catch (thrown) {
    problems.push(`${message.method} ${message.url}: the server failed: ${thrown.stack}`);
    response.writeHead(500).end();
  }
}

https
  .createServer(
    { cert: readFileSync(flags.cert), key: readFileSync(flags.key) },
    (message, response) => void serve(message, response),
  )
  .listen(Number(flags.port), '127.0.0.1', () => control.listen(0, '127.0.0.1'));

/**
 * GET /problems, GET /audit (lines), GET /log (and forgets it), POST /clock with seconds ahead, POST /expires with
 * { id, at }, POST /meeting: the next policy load waits until it was in the way of another.
 */
async function serveControl(message, response) {
  const body = await bodyOf(message);
  if (message.url === '/problems') response.end(JSON.stringify(problems));
  else if (message.url === '/audit') response.end(audit.text());
  else if (message.url === '/log') {
    response.end(JSON.stringify(log));
    log = [];
  } else if (message.url === '/clock') {
    offsetMs = Number(body) * 1000;
    response.end();
  } else if (message.url === '/meeting') {
    meeting = true;
    response.end();
  } else if (message.url === '/expires') {
    const { id, at } = JSON.parse(body.toString());
    model.resources.get(id).secrets.at(-1).expiresAt = at;
    response.end();
  } else response.writeHead(404).end();
}

const control = http.createServer((message, response) => void serveControl(message, response));
control.on('listening', () => {
  const { apiKey } = model.roles.get(`${account}:user:admin`);
  process.stdout.write(`ready ${JSON.stringify({ control: control.address().port, apiKey })}\n`);
});
