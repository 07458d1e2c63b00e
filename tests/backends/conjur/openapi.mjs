/**
 * Checks each exchange of the Conjur test server against the published OpenAPI documents in spec/.
 *
 * A path parameter is checked in its encoded form: the documents' ResourceID "requires to be encoded when in path".
 */
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';

const FOLDER = fileURLToPath(new URL('spec', import.meta.url));

/**
 * Answers that the service gives and the documents leave out, each with its reason.
 * `createSecret` of a variable that the caller can't see is 404, as every other call for it is.
 */
const UNDOCUMENTED = new Set(['createSecret 404']);

/** The documents have one schema for showResource, of a resource; with permitted_roles it answers a list of ids. */
function answersOtherwise({ operationId }, { searchParams }) {
  return operationId === 'showResource' && searchParams.has('permitted_roles');
}

const files = new Map(
  readdirSync(FOLDER)
    .filter((name) => name.endsWith('.yml'))
    .map((name) => [name, parse(readFileSync(join(FOLDER, name), 'utf8'))]),
);

/** A node of a document with every $ref below it replaced by what it names. */
function resolve(node, file) {
  if (Array.isArray(node)) return node.map((item) => resolve(item, file));
  if (node === null || typeof node !== 'object') return node;
  if (typeof node.$ref === 'string') {
    const [name, pointer] = node.$ref.split('#');
    const target = name === '' ? file : name;
    let here = files.get(target);
    for (const part of pointer.split('/').slice(1))
      here = here[part.replaceAll('~1', '/').replaceAll('~0', '~')];
    if (here === undefined) throw new Error(`${file}: ${node.$ref} names nothing`);
    return resolve(here, target);
  }
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, resolve(value, file)]));
}

const paths = Object.entries(files.get('openapi.yml').paths).map(([template, item]) => ({
  parts: template.split('/'),
  item: resolve(item, 'openapi.yml'),
}));
// A path that spells a segment out goes before one that has a parameter in its place.
paths.sort((a, b) => variables(a) - variables(b));
function variables({ parts }) {
  return parts.filter((part) => part.startsWith('{')).length;
}

const ajv = new Ajv({ strict: false, allErrors: true });
addFormats.default(ajv);
const compiled = new Map();

function check(schema, value, where, problems) {
  let validate = compiled.get(schema);
  if (validate === undefined) compiled.set(schema, (validate = ajv.compile(schema)));
  if (!validate(value)) problems.push(`${where}: ${ajv.errorsText(validate.errors)}`);
}

/** A parameter's text as the type its schema has. */
function typed(schema, text) {
  if (schema.type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  if (schema.type === 'integer' && /^-?\d+$/.test(text)) return Number(text);
  return text;
}

function find(method, pathname) {
  const parts = pathname.split('/');
  for (const path of paths) {
    if (path.parts.length !== parts.length) continue;
    const matches = path.parts.every((part, index) => part.startsWith('{') || part === parts[index]);
    const operation = path.item[method.toLowerCase()];
    if (!matches || operation === undefined) continue;
    const values = new Map();
    path.parts.forEach((part, index) => {
      if (part.startsWith('{')) values.set(part.slice(1, -1), parts[index]);
    });
    return {
      operation,
      values,
      parameters: [...(path.item.parameters ?? []), ...(operation.parameters ?? [])],
    };
  }
  return undefined;
}

function checkBody(content, type, body, where, problems) {
  const plain = (type ?? '').split(';')[0].trim();
  const media = content[plain];
  if (media === undefined) {
    problems.push(`${where}: content type "${plain}" is none of ${Object.keys(content).join(', ')}`);
    return;
  }
  if (media.schema === undefined) return;
  let value = body.toString('latin1');
  if (plain === 'application/x-www-form-urlencoded') value = Object.fromEntries(new URLSearchParams(value));
  if (plain === 'application/json') value = JSON.parse(body.toString('utf8'));
  check(media.schema, value, where, problems);
}

/**
 * What of an exchange doesn't fit the documents; nothing for one that does.
 * @param request { method, url, headers, body } @param response { status, type, body }
 */
export function problemsOf(request, response) {
  const url = new URL(request.url, 'https://conjur');
  const title = `${request.method} ${url.pathname} ${response.status}`;
  const found = find(request.method, url.pathname);
  if (found === undefined) return [`${title}: the documents have no such operation`];
  const problems = [];
  const { operation, values, parameters } = found;
  const known = new Set();
  for (const { in: place, name, required, schema } of parameters) {
    if (place === 'query') known.add(name);
    const text =
      place === 'path'
        ? values.get(name)
        : place === 'query'
          ? (url.searchParams.get(name) ?? undefined)
          : request.headers[name.toLowerCase()];
    if (text !== undefined) check(schema, typed(schema, text), `${title}: ${place} ${name}`, problems);
    else if (required === true) problems.push(`${title}: ${place} ${name} is missing`);
  }
  for (const name of url.searchParams.keys())
    if (!known.has(name)) problems.push(`${title}: the documents have no query parameter ${name}`);
  if (operation.security?.some((scheme) => 'conjurAuth' in scheme) && response.status !== 401) {
    if (!/^Token token="[A-Za-z0-9+/=]+"$/.test(request.headers.authorization ?? ''))
      problems.push(`${title}: no access token`);
  }
  if (operation.requestBody !== undefined) {
    if (request.body.length > 0)
      checkBody(
        operation.requestBody.content,
        request.headers['content-type'],
        request.body,
        `${title}: request`,
        problems,
      );
    else if (operation.requestBody.required === true) problems.push(`${title}: the request has no body`);
  } else if (request.body.length > 0) problems.push(`${title}: the documents have no request body here`);
  const answer = operation.responses[String(response.status)];
  if (answer === undefined) {
    if (!UNDOCUMENTED.has(`${operation.operationId} ${response.status}`))
      problems.push(`${title}: the documents have no such status`);
  } else if (answer.content !== undefined && !answersOtherwise(operation, url)) {
    checkBody(answer.content, response.type, response.body, `${title}: response`, problems);
  }
  return problems;
}
