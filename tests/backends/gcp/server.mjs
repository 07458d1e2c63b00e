// A double of Google Secret Manager for tests: gRPC and REST over TLS, sign-in, and the metadata server.
// tests/backends/README.md says what it enforces and what it can't show.
//
//     node server.mjs --folder DIR --port PORT
//
// DIR holds the server's key.pem and cert.pem. When it is ready it prints one line of JSON with its ports. On the
// plain port, /_test/… is the tests' own door: accounts, tokens, corruption, counts.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AuditLog } from './audit-log.mjs';
import { answerRefusal, makeRest, serveGrpc } from './fronts.mjs';
import { SecretManager } from './model.mjs';
import { refuse } from './rules.mjs';
import { SignIn } from './sign-in.mjs';

const { values: flags } = parseArgs({ options: { folder: { type: 'string' }, port: { type: 'string' } } });
const key = readFileSync(join(flags.folder, 'key.pem'));
const cert = readFileSync(join(flags.folder, 'cert.pem'));
const PROJECT = 'tests';
/** The one location that has an endpoint of its own here. */
const LOCATION = 'europe-west3';

const manager = new SecretManager();
const signIn = new SignIn();
const audit = new AuditLog(PROJECT, manager.projects);
manager.grant(PROJECT, 'nobody', []);

/** Projects that calls asked to be counted for. */
const quota = [];

function handle(method, request, headers) {
  if (headers['x-goog-user-project'] !== undefined) quota.push(headers['x-goog-user-project']);
  const principal = signIn.principal(headers.authorization);
  return audit.noted({ method, request, principal, headers }, () => manager.call(method, request, principal));
}

/** Global secrets are served at the global endpoint and regional ones at their region's, as by the service. */
function checkPlace(path, location) {
  const [, named] = /\/locations\/([^/]+)/.exec(path) ?? [];
  if (named !== location)
    refuse('INVALID_ARGUMENT', `Resources of ${named ?? 'global'} are not served at this endpoint.`);
}

function read(request) {
  return new Promise((resolve, reject) => {
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('error', reject);
    request.on('end', () => resolve(Buffer.concat(pieces).toString()));
  });
}

function send(response, { status, body }) {
  const text = typeof body === 'string' ? body : `${JSON.stringify(body, null, 2)}\n`;
  response.writeHead(status, {
    'content-type': typeof body === 'string' ? 'application/text' : 'application/json; charset=UTF-8',
    'content-length': Buffer.byteLength(text),
    'metadata-flavor': 'Google',
  });
  response.end(text);
}

function rest(location) {
  const answer = makeRest(handle);
  const serve = async (request, response) => {
    const url = new URL(request.url, 'https://localhost');
    try {
      const body = await read(request);
      const token =
        request.method === 'POST' ? signIn.answer(url.pathname, request.headers, body) : undefined;
      const asked = request.method === 'POST' ? audit.route(url.pathname) : undefined;
      if (asked !== undefined) {
        const found = asked(JSON.parse(body || '{}'), signIn.principal(request.headers.authorization));
        send(response, { status: 200, body: found });
        return;
      }
      if (token === undefined) checkPlace(url.pathname, location);
      send(response, token ?? answer(request.method, url, request.headers, body));
    } catch (thrown) {
      send(response, answerRefusal(thrown));
    }
  };
  return https.createServer({ key, cert }, (request, response) => void serve(request, response));
}

const doors = {
  /** A service account with roles in the project, and its key. */
  account: ({ email, roles = [], tokenUri }) => {
    manager.grant(PROJECT, `serviceAccount:${email}`, roles);
    return signIn.account(email, PROJECT, tokenUri);
  },
  grant: ({ principal, roles }) => manager.grant(PROJECT, principal, roles),
  group: ({ group, members }) => void manager.groups.set(group, members),
  later: ({ seconds }) => manager.later(seconds),
  creator: ({ target, principal }) => signIn.creator(target, principal),
  token: ({ principal }) => ({ token: signIn.accessToken(principal) }),
  refresh: ({ email }) => ({ token: signIn.refreshToken(email) }),
  subject: ({ subject }) => ({ token: signIn.subjectToken(subject), audience: signIn.audience }),
  machine: ({ email }) => {
    signIn.machine = email;
  },
  corrupt: ({ name }) => manager.corrupt(name),
  /** Settings of the audit logs, and entries to put in. */
  audit: ({ entries = [], ...settings }) => {
    Object.assign(audit.settings, settings);
    audit.entries.push(...entries.map((entry) => audit.complete(entry)));
  },
  logged: () => ({ lists: audit.lists.splice(0) }),
  age: ({ name, seconds }) => manager.age(name, seconds),
  unpublishable: ({ topic }) => void manager.unpublishable.add(topic),
  notices: () => ({ notices: manager.notices.splice(0) }),
  quota: () => ({ quota: quota.splice(0) }),
  calls: () => ({ calls: manager.calls.splice(0), given: signIn.given }),
};

async function servePlain(request, response) {
  const { pathname } = new URL(request.url, 'http://localhost');
  const body = await read(request);
  const door = doors[/^\/_test\/(\w+)$/.exec(pathname)?.[1]];
  if (door !== undefined) {
    send(response, { status: 200, body: door(JSON.parse(body || '{}')) ?? {} });
    return;
  }
  const found =
    request.headers['metadata-flavor'] === 'Google' ? signIn.metadata(pathname, PROJECT) : undefined;
  send(response, found === undefined ? { status: 404, body: 'not found' } : { status: 200, body: found });
}
const plain = http.createServer((request, response) => void servePlain(request, response));

const listen = (server, port) =>
  new Promise((resolve) => {
    server.listen(port, '127.0.0.1', () => resolve(server.address().port));
  });

const ports = {
  rest: await listen(rest(undefined), Number(flags.port)),
  regional: await listen(rest(LOCATION), 0),
  plain: await listen(plain, 0),
  grpc: await serveGrpc({ handle, key, cert }),
};
signIn.base = `https://127.0.0.1:${ports.rest}`;
process.stdout.write(`ready ${JSON.stringify({ ...ports, project: PROJECT, location: LOCATION })}\n`);
