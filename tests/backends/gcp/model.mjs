// Secret Manager v1 in memory: one method for each rpc of google.cloud.secretmanager.v1, with plain objects in the
// form of its protos (camel case, enums by name, 64-bit numbers as text). Transport and sign-in are elsewhere.
//
// Rotations are noted when their time has come (`notices`), as messages to their topics; nobody carries them.
//
// Not done: managed rotation, Pub/Sub itself, customer-managed keys (a key's name is stored, nothing is checked),
// tags, organisation policies, quotas by the minute, replication lag (every read sees every write).
import { randomBytes } from 'node:crypto';
import { checkBindings, holds } from './bindings.mjs';
import {
  castagnoli,
  checkAliases,
  checkAnnotations,
  checkLabels,
  checkReplication,
  checkRotation,
  checkSecretId,
  checkTimes,
  checkTopics,
  PERMISSIONS,
  Refusal,
  refuse,
  roleGives,
} from './rules.mjs';

const MAX_PAYLOAD = 65_536;
/** The service may always give fewer than asked for; small pages make clients page. */
const MAX_PAGE = 100;
const MUTABLE = {
  labels: 'labels',
  annotations: 'annotations',
  topics: 'topics',
  rotation: 'rotation',
  expire_time: 'expireTime',
  ttl: 'ttl',
  version_aliases: 'versionAliases',
  version_destroy_ttl: 'versionDestroyTtl',
};

const stamp = (ms = Date.now()) => ({ seconds: String(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1e6 });
const newEtag = () => `"${randomBytes(7).toString('hex')}"`;
const field = (object, path) => path.split('.').reduce((value, key) => value?.[key], object);

function checkEtag(given, current) {
  if (given && given !== current)
    refuse(
      // https://cloud.google.com/secret-manager/docs/etags; not ABORTED, as AIP-154 has it.
      'FAILED_PRECONDITION',
      "The etag provided in the request does not match the resource's current etag. Please retry the whole read-modify-write with exponential backoff.",
    );
}

export class SecretManager {
  /** Full name → { info, versions: [{ info, data, crc }], policy }. */
  #secrets = new Map();
  /** Project → Map of member → Set of roles. */
  projects = new Map();
  /** Member of a policy, such as `group:x@y` → who is in it. */
  groups = new Map();
  /** Milliseconds that conditions on the time are ahead of the clock. */
  #later = 0;
  /** Methods that were called, in order. */
  calls = [];
  /** Names of topics that the service's agent may not publish to. */
  unpublishable = new Set();
  /** Names of secrets whose topics were told that it is time, in order. */
  notices = [];

  grant(project, member, roles) {
    const members = this.projects.get(project) ?? new Map();
    members.set(member, new Set(roles));
    this.projects.set(project, members);
  }

  /** @param principal IAM's name of who asks, such as `serviceAccount:x@y` */
  call(method, request, principal) {
    this.calls.push(method);
    const rule = PERMISSIONS[method];
    if (rule === undefined) refuse('UNIMPLEMENTED', `Method ${method} is not served here.`);
    const [permission, where] = rule;
    const resource = field(request, where) ?? '';
    const [, project] = /^projects\/([^/]+)(?:\/|$)/.exec(resource) ?? [];
    if (project === undefined) refuse('INVALID_ARGUMENT', 'Invalid resource field value in the request.');
    if (!this.projects.has(project))
      refuse('PERMISSION_DENIED', `Permission denied on resource project ${project}.`, {
        reason: 'CONSUMER_INVALID',
        domain: 'googleapis.com',
        metadata: { consumer: `projects/${project}`, service: 'secretmanager.googleapis.com' },
      });
    // Whether it exists is not told to those who may not ask.
    if (permission !== undefined && !this.#allowed(permission, resource, project, principal))
      refuse(
        'PERMISSION_DENIED',
        `Permission '${permission}' denied for resource '${resource}' (or it may not exist).`,
        {
          reason: 'IAM_PERMISSION_DENIED',
          domain: 'iam.googleapis.com',
          metadata: { permission, resource },
        },
      );
    return this[method](request, principal);
  }

  #allowed(permission, resource, project, principal) {
    const own = [...(this.projects.get(project)?.get(principal) ?? [])];
    if (own.some((role) => roleGives(role, permission))) return true;
    const secret = this.#secrets.get(resource.replace(/\/versions\/[^/]+$/, ''));
    return (secret?.policy.bindings ?? []).some(
      ({ role, members = [], condition }) =>
        members.some((member) => this.#stands(member, principal)) &&
        roleGives(role, permission) &&
        holds(condition, resource, this.#later),
    );
  }

  /** Groups that tests made, and everybody. */
  #stands(member, principal) {
    const isEverybody = member === 'allUsers' || member === 'allAuthenticatedUsers';
    return member === principal || isEverybody || (this.groups.get(member)?.includes(principal) ?? false);
  }

  #parent(text) {
    const match = /^projects\/[^/]+(\/locations\/[a-z0-9-]+)?$/.exec(text ?? '');
    if (match === null) refuse('INVALID_ARGUMENT', 'Invalid resource field value in the request.');
    return { regional: match[1] !== undefined };
  }

  #secret(name) {
    const secret = this.#secrets.get(name);
    const gone = secret?.info.expireTime && Number(secret.info.expireTime.seconds) * 1000 <= Date.now();
    if (gone) this.#secrets.delete(name);
    if (secret === undefined || gone) refuse('NOT_FOUND', `Secret [${name}] not found.`);
    this.#notify(secret);
    return secret;
  }

  #notify({ info }) {
    const { nextRotationTime: next, rotationPeriod: period } = info.rotation ?? {};
    if (next === undefined || Number(next.seconds) * 1000 > Date.now()) return;
    this.notices.push(info.name);
    if (period === undefined) info.rotation = undefined;
    else
      info.rotation.nextRotationTime = {
        ...next,
        seconds: String(Number(next.seconds) + Number(period.seconds)),
      };
  }

  #version(name) {
    const [, secretName, id] = /^(.+\/secrets\/[^/]+)\/versions\/([^/]+)$/.exec(name ?? '') ?? [];
    if (id === undefined) refuse('INVALID_ARGUMENT', 'Invalid resource field value in the request.');
    const secret = this.#secret(secretName);
    const { versions, info } = secret;
    const number =
      id === 'latest' ? versions.length : /^\d+$/.test(id) ? Number(id) : Number(info.versionAliases?.[id]);
    const version = versions[number - 1];
    if (version === undefined) refuse('NOT_FOUND', `Secret Version [${name}] not found.`);
    if (Number(version.info.scheduledDestroyTime?.seconds) * 1000 <= Date.now()) this.#destroy(version);
    return { secret, version };
  }

  #destroy(version) {
    delete version.info.scheduledDestroyTime;
    Object.assign(version.info, { state: 'DESTROYED', destroyTime: stamp(), etag: newEtag() });
    version.data = undefined;
  }

  #checkInfo(info, versions) {
    checkLabels(info.labels);
    checkAnnotations(info.annotations);
    checkAliases(info.versionAliases, versions);
    checkTimes(info, Date.now());
  }

  #page(items, { pageSize = 0, pageToken = '' }, key) {
    if (pageSize < 0) refuse('INVALID_ARGUMENT', 'page_size must not be negative.');
    const size = Math.min(pageSize || MAX_PAGE, MAX_PAGE);
    const [, from] = /^p(\d+)$/.exec(Buffer.from(pageToken, 'base64url').toString()) ?? [];
    if (pageToken !== '' && from === undefined) refuse('INVALID_ARGUMENT', 'The page token is invalid.');
    const start = Number(from ?? 0);
    const next = start + size < items.length ? Buffer.from(`p${start + size}`).toString('base64url') : '';
    return { [key]: items.slice(start, start + size), nextPageToken: next, totalSize: items.length };
  }

  /** The part of https://cloud.google.com/secret-manager/docs/filtering that is in use: terms joined by AND. */
  #filter(text, valueOf) {
    if (!text) return () => true;
    const terms = text.split(/\s+AND\s+/).map((term) => {
      const match = /^([a-z_.A-Z0-9-]+)([:=])"?([^"]*)"?$/.exec(term.trim());
      if (match === null) refuse('INVALID_ARGUMENT', `Invalid filter: ${text}`);
      return match.slice(1);
    });
    return (item) =>
      terms.every(([key, operator, wanted]) => {
        const value = valueOf(item, key);
        if (value === undefined) return false;
        return operator === '=' ? value === wanted : value.toLowerCase().includes(wanted.toLowerCase());
      });
  }

  ListSecrets(request) {
    this.#parent(request.parent);
    const matches = this.#filter(request.filter, ({ info }, key) => {
      if (key === 'name') return info.name.split('/').at(-1);
      return key.startsWith('labels.') ? info.labels?.[key.slice(7)] : undefined;
    });
    const items = [...this.#secrets.values()]
      .filter(({ info }) => info.name.startsWith(`${request.parent}/secrets/`) && matches({ info }))
      .map(({ info }) => info)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    return this.#page(items, request, 'secrets');
  }

  CreateSecret({ parent, secretId, secret = {} }) {
    const { regional } = this.#parent(parent);
    checkSecretId(secretId);
    const { labels, annotations, replication, topics, rotation, versionDestroyTtl } = secret;
    const { ttl, expireTime, versionAliases, customerManagedEncryption } = secret;
    checkReplication(replication, regional);
    const name = `${parent}/secrets/${secretId}`;
    const info = {
      ...{ name, createTime: stamp(), etag: newEtag(), labels, annotations, replication, topics, rotation },
      ...{ versionDestroyTtl, versionAliases, customerManagedEncryption },
      expireTime: ttl === undefined ? expireTime : stamp(Date.now() + Number(ttl.seconds) * 1000),
    };
    this.#checkInfo(info, []);
    checkRotation(rotation, Date.now());
    checkTopics(topics, this.unpublishable);
    if (this.#secrets.has(name)) refuse('ALREADY_EXISTS', `Secret [${name}] already exists.`);
    const policy = { version: 1, etag: Buffer.from(newEtag()), bindings: [] };
    this.#secrets.set(name, { info, versions: [], policy });
    return info;
  }

  GetSecret({ name }) {
    return this.#secret(name).info;
  }

  UpdateSecret({ secret: change = {}, updateMask }) {
    const secret = this.#secret(change.name);
    const paths = updateMask?.paths ?? [];
    if (paths.length === 0) refuse('INVALID_ARGUMENT', 'The update mask must not be empty.');
    checkEtag(change.etag, secret.info.etag);
    const info = { ...secret.info };
    for (const path of paths) {
      const key = MUTABLE[path];
      if (key === undefined) refuse('INVALID_ARGUMENT', `Field [${path}] can't be updated.`);
      if (key === 'ttl') info.expireTime = stamp(Date.now() + Number(change.ttl?.seconds) * 1000);
      else info[key] = change[key];
    }
    this.#checkInfo(info, secret.versions);
    if (paths.includes('rotation')) checkRotation(change.rotation, Date.now());
    if (paths.includes('topics')) checkTopics(change.topics, this.unpublishable);
    info.etag = newEtag();
    secret.info = info;
    return info;
  }

  DeleteSecret({ name, etag }) {
    checkEtag(etag, this.#secret(name).info.etag);
    this.#secrets.delete(name);
    return {};
  }

  AddSecretVersion({ parent, payload = {} }) {
    const secret = this.#secret(parent);
    const { data = Buffer.alloc(0), dataCrc32c } = payload;
    if (data.length === 0) refuse('INVALID_ARGUMENT', 'Secret Payload cannot be empty.');
    if (data.length > MAX_PAYLOAD)
      refuse('INVALID_ARGUMENT', `The payload has ${data.length} bytes; the limit is ${MAX_PAYLOAD}.`);
    const crc = castagnoli(data);
    const told = dataCrc32c !== undefined && dataCrc32c !== null;
    if (told && Number(dataCrc32c) !== crc)
      refuse('INVALID_ARGUMENT', 'The checksum sent with the payload does not match its data.');
    const info = {
      name: `${parent}/versions/${secret.versions.length + 1}`,
      createTime: stamp(),
      state: 'ENABLED',
      etag: newEtag(),
      clientSpecifiedPayloadChecksum: told,
    };
    secret.versions.push({ info, data: Buffer.from(data), crc });
    return info;
  }

  GetSecretVersion({ name }) {
    return this.#version(name).version.info;
  }

  AccessSecretVersion({ name }) {
    const { info, data, crc } = this.#version(name).version;
    if (info.state !== 'ENABLED')
      refuse('FAILED_PRECONDITION', `Secret Version [${info.name}] is in ${info.state} state.`);
    return { name: info.name, payload: { data, dataCrc32c: String(crc) } };
  }

  ListSecretVersions(request) {
    const { versions } = this.#secret(request.parent);
    const matches = this.#filter(request.filter, (info, key) =>
      key === 'state' ? info.state : key === 'name' ? info.name : undefined,
    );
    return this.#page(
      versions
        .map(({ info }) => info)
        .filter(matches)
        .toReversed(),
      request,
      'versions',
    );
  }

  #setState({ name, etag }, state) {
    const { secret, version } = this.#version(name);
    const { info } = version;
    checkEtag(etag, info.etag);
    if (info.state === 'DESTROYED')
      refuse('FAILED_PRECONDITION', `Secret Version [${info.name}] is in DESTROYED state.`);
    const ttl = secret.info.versionDestroyTtl;
    if (state !== 'DESTROYED') {
      delete info.scheduledDestroyTime;
      Object.assign(info, { state, etag: newEtag() });
    } else if (ttl === undefined) {
      this.#destroy(version);
    } else {
      info.scheduledDestroyTime ??= stamp(Date.now() + Number(ttl.seconds) * 1000);
      Object.assign(info, { state: 'DISABLED', etag: newEtag() });
    }
    return info;
  }

  EnableSecretVersion(request) {
    return this.#setState(request, 'ENABLED');
  }

  DisableSecretVersion(request) {
    return this.#setState(request, 'DISABLED');
  }

  DestroySecretVersion(request) {
    return this.#setState(request, 'DESTROYED');
  }

  /** Conditions are only shown to who asks for version 3: https://cloud.google.com/iam/docs/policies#versions */
  GetIamPolicy({ resource, options = {} }) {
    const { policy } = this.#secret(resource);
    if (options.requestedPolicyVersion === 3) return policy;
    const bindings = policy.bindings.map(({ condition, ...binding }) =>
      condition === undefined ? binding : { ...binding, role: `${binding.role}_withcond_0a1b2c` },
    );
    return { ...policy, version: 1, bindings };
  }

  SetIamPolicy({ resource, policy = {} }) {
    const secret = this.#secret(resource);
    if (policy.etag?.length > 0 && !Buffer.from(policy.etag).equals(secret.policy.etag))
      refuse('ABORTED', 'There were concurrent policy changes. Please retry the whole read-modify-write.');
    const known = new Set([...this.projects.values()].flatMap((members) => [...members.keys()]));
    const bindings = checkBindings(policy, known);
    const version = bindings.some(({ condition }) => condition !== undefined) ? 3 : 1;
    secret.policy = { version, etag: Buffer.from(newEtag()), bindings };
    return secret.policy;
  }

  /** For tests: conditions on the time are judged so many seconds later from now on. */
  later(seconds) {
    this.#later = seconds * 1000;
  }

  TestIamPermissions({ resource, permissions = [] }, principal) {
    const project = resource.split('/')[1];
    // "If the secret does not exist, this call returns an empty set of permissions, rather than a NOT_FOUND error."
    if (!this.#secrets.has(resource)) return { permissions: [] };
    return { permissions: permissions.filter((one) => this.#allowed(one, resource, project, principal)) };
  }

  /** For tests: as if its versions, and what is to come, were so much older. */
  age(name, seconds) {
    const { info, versions } = this.#secrets.get(name);
    const earlier = (time) => ({ ...time, seconds: String(Number(time.seconds) - seconds) });
    for (const version of versions) version.info.createTime = earlier(version.info.createTime);
    if (info.rotation) info.rotation.nextRotationTime = earlier(info.rotation.nextRotationTime);
  }

  /** For tests: flips a bit of a stored payload, whose checksum stays what it was. */
  corrupt(name) {
    const { version } = this.#version(name);
    version.data[0] ^= 1;
  }
}

export { Refusal };
