// What the service refuses, and how it says so. Sources, all read when this was written:
// https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets (fields and their limits),
// https://cloud.google.com/secret-manager/quotas, https://cloud.google.com/secret-manager/docs/access-control
// (roles), https://google.aip.dev/193 (errors), https://google.aip.dev/154 (etags).

/** google.rpc.Code by name, with the HTTP status of https://cloud.google.com/apis/design/errors. */
export const CODES = {
  INVALID_ARGUMENT: [3, 400],
  NOT_FOUND: [5, 404],
  ALREADY_EXISTS: [6, 409],
  PERMISSION_DENIED: [7, 403],
  RESOURCE_EXHAUSTED: [8, 429],
  FAILED_PRECONDITION: [9, 400],
  ABORTED: [10, 409],
  UNIMPLEMENTED: [12, 501],
  INTERNAL: [13, 500],
  UNAVAILABLE: [14, 503],
  UNAUTHENTICATED: [16, 401],
};

/** A refusal. `info` becomes the google.rpc.ErrorInfo of the details. */
export class Refusal extends Error {
  constructor(status, message, info) {
    super(message);
    this.status = status;
    this.info = info;
  }
}

export const refuse = (status, message, info) => {
  throw new Refusal(status, message, info);
};
const invalid = (message) => refuse('INVALID_ARGUMENT', message);

const ROLES = {
  'roles/secretmanager.admin': /^secretmanager\./,
  'roles/secretmanager.secretAccessor': /^secretmanager\.versions\.access$/,
  'roles/secretmanager.secretVersionAdder': /^secretmanager\.versions\.add$/,
  'roles/secretmanager.secretVersionManager':
    /^secretmanager\.versions\.(add|destroy|disable|enable|get|list)$/,
  'roles/iam.securityAdmin': /^secretmanager\.secrets\.(getIamPolicy|list|setIamPolicy)$/,
  'roles/secretmanager.viewer': /^secretmanager\.(secrets\.(get|getIamPolicy|list)|versions\.(get|list))$/,
};

export const roleGives = (role, permission) => ROLES[role]?.test(permission) ?? false;

/** Permission that a method asks for, and the resource it is asked on. */
export const PERMISSIONS = {
  ListSecrets: ['secretmanager.secrets.list', 'parent'],
  CreateSecret: ['secretmanager.secrets.create', 'parent'],
  AddSecretVersion: ['secretmanager.versions.add', 'parent'],
  GetSecret: ['secretmanager.secrets.get', 'name'],
  UpdateSecret: ['secretmanager.secrets.update', 'secret.name'],
  DeleteSecret: ['secretmanager.secrets.delete', 'name'],
  ListSecretVersions: ['secretmanager.versions.list', 'parent'],
  GetSecretVersion: ['secretmanager.versions.get', 'name'],
  AccessSecretVersion: ['secretmanager.versions.access', 'name'],
  DisableSecretVersion: ['secretmanager.versions.disable', 'name'],
  EnableSecretVersion: ['secretmanager.versions.enable', 'name'],
  DestroySecretVersion: ['secretmanager.versions.destroy', 'name'],
  SetIamPolicy: ['secretmanager.secrets.setIamPolicy', 'resource'],
  GetIamPolicy: ['secretmanager.secrets.getIamPolicy', 'resource'],
  TestIamPermissions: [undefined, 'resource'],
};

export function checkSecretId(id) {
  if (!/^[A-Za-z0-9_-]{1,255}$/.test(id ?? ''))
    invalid(`The provided Secret ID [${id}] does not match the expected format [[a-zA-Z_0-9-]+]`);
}

export function checkLabels(labels = {}) {
  const entries = Object.entries(labels);
  if (entries.length > 64) invalid('A resource may have at most 64 labels.');
  for (const [key, value] of entries) {
    if (!/^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u.test(key))
      invalid(`Label key [${key}] is not valid.`);
    if (!/^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u.test(value)) invalid(`Label value of [${key}] is not valid.`);
  }
}

export function checkAnnotations(annotations = {}) {
  let size = 0;
  for (const [key, value] of Object.entries(annotations)) {
    if (!/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(key))
      invalid(`Annotation key [${key}] is not valid.`);
    size += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (size > 16 * 1024) invalid('The total size of annotation keys and values must be at most 16KiB.');
}

export function checkAliases(aliases = {}, versions) {
  const entries = Object.entries(aliases);
  if (entries.length > 50) invalid('A secret may have at most 50 version aliases.');
  for (const [alias, number] of entries) {
    if (!/^[A-Za-z][A-Za-z0-9_-]{0,62}$/.test(alias) || /^(latest|new)$/i.test(alias))
      invalid(`Version alias [${alias}] is not valid.`);
    if (versions[Number(number) - 1] === undefined)
      invalid(`Version alias [${alias}] points to a version that does not exist.`);
  }
}

/** Replication is for global secrets, and they must have it; a regional one lies where it lies. */
export function checkReplication(replication, regional) {
  if (regional) {
    if (replication !== undefined) invalid('Replication policy is not allowed on regional secrets.');
    return;
  }
  const { automatic, userManaged } = replication ?? {};
  if ((automatic === undefined) === (userManaged === undefined))
    invalid('Secret must have a replication policy: automatic or user_managed.');
  if (userManaged !== undefined) {
    const places = (userManaged.replicas ?? []).map(({ location }) => location);
    if (places.length === 0 || new Set(places).size !== places.length || places.some((place) => !place))
      invalid('A user-managed replication policy needs at least one replica, each in a location of its own.');
  }
}

export function checkTimes({ expireTime, versionDestroyTtl, rotation, topics = [] }, now) {
  if (expireTime !== undefined && Number(expireTime.seconds) * 1000 <= now)
    invalid('Secret expire_time must be in the future.');
  if (versionDestroyTtl !== undefined) {
    const seconds = Number(versionDestroyTtl.seconds);
    if (seconds < 86_400 || seconds > 1000 * 86_400)
      invalid('version_destroy_ttl must be between 24 hours and 1000 days.');
  }
  if (rotation !== undefined && topics.length === 0)
    invalid('Rotation cannot be set without at least one topic configured.');
}

/** Of a rotation that is being set. */
export function checkRotation(rotation, now) {
  if (rotation === undefined || rotation === null) return;
  const { nextRotationTime: next, rotationPeriod: period } = rotation;
  if (period !== undefined) {
    const seconds = Number(period.seconds);
    if (seconds < 3600 || seconds > 3_153_600_000)
      invalid('rotation_period must be between 3600s and 3153600000s.');
    if (next === undefined) invalid('next_rotation_time must be set when rotation_period is set.');
  }
  const ahead = Number(next?.seconds ?? 0) - now / 1000;
  if (next !== undefined && (ahead < 300 || ahead > 3_153_600_000))
    invalid('next_rotation_time cannot be set to less than 300s in the future and at most 3153600000s.');
}

export function checkTopics(topics = [], unpublishable) {
  if (topics.length > 10) invalid('A secret may have at most 10 topics.');
  for (const { name } of topics) {
    if (!/^projects\/[^/]+\/topics\/[A-Za-z][\w.~+%-]{2,254}$/.test(name ?? ''))
      invalid(`Topic name [${name}] is not valid.`);
    if (unpublishable.has(name))
      refuse(
        'FAILED_PRECONDITION',
        `The Secret Manager service agent does not have permission to publish to topic ${name}, or it does not exist.`,
      );
  }
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

/** CRC-32C (Castagnoli), as RFC 3720 appendix B.4 has it. */
export function castagnoli(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 0xff] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}
