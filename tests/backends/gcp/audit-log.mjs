// A double of Cloud Audit Logs: what the double of Secret Manager was asked becomes entries in the shape of
// https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog, read by entries:list of
// https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list, and the project's audit configuration by
// getIamPolicy. Kept apart from the adapter; ../README.md says what it can't show.
import { randomBytes } from 'node:crypto';
import { CODES, Refusal, refuse } from './rules.mjs';

/** Resource names in entries carry the project's number. */
const NUMBER = '482910475623';
const PREFIX = 'google.cloud.secretmanager.v1.SecretManagerService.';
/** https://cloud.google.com/secret-manager/docs/audit-logging: all others are Admin Activity. */
const DATA_ACCESS = {
  AccessSecretVersion: 'DATA_READ',
  GetSecret: 'ADMIN_READ',
  GetSecretVersion: 'ADMIN_READ',
  ListSecrets: 'ADMIN_READ',
  ListSecretVersions: 'ADMIN_READ',
  GetIamPolicy: 'ADMIN_READ',
};
/** What may see all logs, and what may see those without Data Access. */
const SEES_ALL = ['roles/logging.privateLogViewer'];
const SEES_SOME = ['roles/logging.viewer', ...SEES_ALL];
const SEES_POLICY = ['roles/iam.securityReviewer'];

export class AuditLog {
  entries = [];
  /** Filters that were asked for. */
  lists = [];
  settings = {
    /** Audit configuration of the project, as in its policy. */
    auditConfigs: [],
    /** Log types that an organisation above switches on. */
    inherited: [],
    /** So many lists are refused for their rate from now on. */
    throttle: 0,
    /** Most entries a page. */
    page: 1000,
    /** Pages without an entry before each page with some, as the service may give them. */
    emptyPages: 0,
  };
  #project;
  #projects;

  constructor(project, projects) {
    this.#project = project;
    this.#projects = projects;
  }

  /** Runs a call and notes it. */
  noted(call, work) {
    try {
      const answer = work();
      this.#note(call, { answer });
      return answer;
    } catch (thrown) {
      if (thrown instanceof Refusal) this.#note(call, { refusal: thrown });
      throw thrown;
    }
  }

  #note({ method, request, principal, headers }, { answer, refusal }) {
    const type = DATA_ACCESS[method];
    const { auditConfigs, inherited } = this.settings;
    const configs = auditConfigs
      .filter(({ service }) => service === 'allServices' || service === 'secretmanager.googleapis.com')
      .flatMap(({ auditLogConfigs }) => auditLogConfigs)
      .filter(({ logType }) => logType === type);
    const isExempt = configs.some(({ exemptedMembers = [] }) => exemptedMembers.includes(principal));
    if (type !== undefined && ((configs.length === 0 && !inherited.includes(type)) || isExempt)) return;
    const resource = request.name ?? request.secret?.name ?? request.parent ?? request.resource ?? '';
    const { secretId } = request;
    const name = secretId === undefined ? resource : `${resource}/secrets/${secretId}`;
    this.entries.push(
      this.complete({
        log: type === undefined ? 'activity' : 'data_access',
        protoPayload: {
          status: refusal === undefined ? {} : { code: CODES[refusal.status][0], message: refusal.message },
          authenticationInfo: { principalEmail: principal.replace(/^\w+:/, '') },
          requestMetadata: { callerIp: '127.0.0.1', callerSuppliedUserAgent: headers['user-agent'] },
          methodName: PREFIX + method,
          resourceName: name.replace(/^projects\/[^/]+/, `projects/${NUMBER}`),
          // Values are left out of the logs by the service.
          request: {
            '@type': `type.googleapis.com/google.cloud.secretmanager.v1.${method}Request`,
            name: resource,
          },
          ...(type === undefined && answer?.name !== undefined && { response: { name: answer.name } }),
        },
      }),
    );
  }

  /** An entry with all that one has. `log` names the log; fields of the payload take the place of those here. */
  complete({ log = 'data_access', protoPayload, ...more }) {
    return {
      insertId: randomBytes(8).toString('hex'),
      logName: `projects/${this.#project}/logs/cloudaudit.googleapis.com%2F${log}`,
      resource: {
        type: 'audited_resource',
        labels: { project_id: this.#project, service: 'secretmanager.googleapis.com' },
      },
      severity: 'INFO',
      timestamp: new Date().toISOString().replace('Z', '123456Z'),
      receiveTimestamp: new Date().toISOString(),
      ...more,
      protoPayload: {
        '@type': 'type.googleapis.com/google.cloud.audit.AuditLog',
        serviceName: 'secretmanager.googleapis.com',
        methodName: `${PREFIX}AccessSecretVersion`,
        authenticationInfo: { principalEmail: 'ann@example.com' },
        requestMetadata: { callerIp: '192.0.2.7', callerSuppliedUserAgent: 'google-cloud-sdk' },
        status: {},
        ...protoPayload,
      },
    };
  }

  /** What answers a POST to this path; `undefined` for none. */
  route(path) {
    if (path === '/v2/entries:list') return (body, principal) => this.#list(body, principal);
    const [, project] = /^\/v1\/projects\/([^/]+):getIamPolicy$/.exec(path) ?? [];
    return project === undefined ? undefined : (_, principal) => this.#policy(project, principal);
  }

  #may(project, principal, roles, permission) {
    const own = this.#projects.get(project)?.get(principal) ?? new Set();
    if (!roles.some((role) => own.has(role)))
      refuse('PERMISSION_DENIED', `Permission denied for all log views`, {
        reason: 'IAM_PERMISSION_DENIED',
        domain: 'iam.googleapis.com',
        metadata: { permission },
      });
    return own;
  }

  #policy(project, principal) {
    this.#may(project, principal, SEES_POLICY, 'resourcemanager.projects.getIamPolicy');
    return { version: 1, etag: 'BwX', bindings: [], auditConfigs: this.settings.auditConfigs };
  }

  #list(
    { resourceNames, filter = '', orderBy = 'timestamp asc', pageSize = 50, pageToken, ...more },
    principal,
  ) {
    this.lists.push(filter);
    if (Object.keys(more).length > 0) refuse('INVALID_ARGUMENT', `Unknown name "${Object.keys(more)[0]}"`);
    const [, project] = /^projects\/([^/]+)$/.exec(resourceNames?.[0]) ?? [];
    if (project === undefined || resourceNames.length !== 1) refuse('INVALID_ARGUMENT', 'Bad resource_names');
    const own = this.#may(project, principal, SEES_SOME, 'logging.logEntries.list');
    if (this.settings.throttle > 0) {
      this.settings.throttle -= 1;
      refuse(
        'RESOURCE_EXHAUSTED',
        "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute'",
      );
    }
    if (!Number.isInteger(pageSize) || pageSize < 0 || pageSize > 1000)
      refuse('INVALID_ARGUMENT', 'page_size');
    if (!/^timestamp (asc|desc)$/.test(orderBy)) refuse('INVALID_ARGUMENT', 'order_by');
    const matches = parseFilter(filter);
    const seesAll = SEES_ALL.some((role) => own.has(role));
    const found = this.entries
      .filter((entry) => (seesAll || !entry.logName.endsWith('data_access')) && matches(entry))
      .toSorted((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0));
    if (orderBy.endsWith('desc')) found.reverse();
    const query = JSON.stringify([resourceNames, filter, orderBy]);
    let from = 0;
    let empty = this.settings.emptyPages;
    if (pageToken !== undefined) {
      const [at, left, of] = JSON.parse(Buffer.from(pageToken, 'base64').toString());
      if (of !== query) refuse('INVALID_ARGUMENT', 'page_token doesn’t match arguments from the request');
      [from, empty] = [at, left];
    }
    const token = (at, left) => Buffer.from(JSON.stringify([at, left, query])).toString('base64');
    if (empty > 0) return { nextPageToken: token(from, empty - 1) };
    const next = from + Math.min(pageSize || 50, this.settings.page);
    return {
      ...(found.length > from && { entries: found.slice(from, next) }),
      ...(next < found.length && { nextPageToken: token(next, this.settings.emptyPages) }),
    };
  }
}

/**
 * The part of https://cloud.google.com/logging/docs/view/logging-query-language that is made of AND, OR, groups,
 * log_id and comparisons of fields with quoted strings. `=` ignores case, as the service does; `=~` does not.
 */
function parseFilter(text) {
  const tokens = [...text.matchAll(/\s*(?:("(?:[^"\\]|\\.)*")|([\w.]+)|(>=|<=|=~|=|\(|\)))/gy)];
  const consumed = tokens.reduce((sum, [whole]) => sum + whole.length, 0);
  if (consumed !== text.trimEnd().length) refuse('INVALID_ARGUMENT', 'Unparseable filter');
  let at = 0;
  const peek = () => tokens[at]?.[0].trim();
  const take = (wanted) => {
    const token = peek();
    if (token === undefined || (wanted !== undefined && token !== wanted))
      refuse('INVALID_ARGUMENT', `Unparseable filter: ${wanted} expected`);
    at += 1;
    return token;
  };
  const string = () => {
    const token = take();
    if (!token.startsWith('"')) refuse('INVALID_ARGUMENT', 'Unparseable filter: a string expected');
    return token.slice(1, -1).replaceAll(/\\(.)/g, '$1');
  };
  const term = () => {
    if (peek() === '(') {
      take('(');
      const inner = any();
      take(')');
      return inner;
    }
    const field = take();
    if (field === 'log_id') {
      take('(');
      const id = string();
      take(')');
      return ({ logName }) => logName.endsWith(`/logs/${encodeURIComponent(id)}`);
    }
    const operator = take();
    const wanted = string();
    const read = (entry) => field.split('.').reduce((value, key) => value?.[key], entry);
    switch (operator) {
      case '=':
        return (entry) => String(read(entry) ?? '').toLowerCase() === wanted.toLowerCase();
      case '=~': {
        const pattern = new RegExp(wanted);
        return (entry) => pattern.test(read(entry) ?? '');
      }
      case '>=':
        return (entry) => Date.parse(read(entry)) >= Date.parse(wanted);
      case '<=':
        return (entry) => Date.parse(read(entry)) <= Date.parse(wanted);
      default:
        return refuse('INVALID_ARGUMENT', `Unparseable filter: ${operator}`);
    }
  };
  const all = () => {
    const terms = [term()];
    while (peek() === 'AND') {
      take('AND');
      terms.push(term());
    }
    return (entry) => terms.every((one) => one(entry));
  };
  const any = () => {
    const terms = [all()];
    while (peek() === 'OR') {
      take('OR');
      terms.push(all());
    }
    return (entry) => terms.some((one) => one(entry));
  };
  const whole = any();
  if (at !== tokens.length) refuse('INVALID_ARGUMENT', 'Unparseable filter');
  return whole;
}
