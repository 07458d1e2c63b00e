/**
 * The data plane of Key Vault secrets, API version 2025-07-01, written down by hand from the published definition:
 * Azure/azure-rest-api-specs, specification/keyvault/data-plane/Secrets/stable/2025-07-01/secrets.json. Operations,
 * parameters, and the shapes of requests and answers as JSON Schemas; stricter in that unknown properties are wrong.
 *
 * Every exchange of the test server is checked against it, in both directions. It shares nothing with the adapter.
 */
import { Ajv, type ValidateFunction } from 'ajv';

const text = { type: 'string' } as const;
const time = { type: 'integer', minimum: 0 } as const;
const flag = { type: 'boolean' } as const;
const tags = { type: 'object', additionalProperties: text } as const;
const recoveryLevel = {
  enum: [
    'Purgeable',
    'Recoverable+Purgeable',
    'Recoverable',
    'Recoverable+ProtectedSubscription',
    'CustomizedRecoverable+Purgeable',
    'CustomizedRecoverable',
    'CustomizedRecoverable+ProtectedSubscription',
  ],
} as const;

const shape = (properties: object, required: readonly string[] = []): object => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
});

/** Attributes that a caller may set. */
const settable = { enabled: flag, nbf: time, exp: time };
const attributes = shape(
  {
    ...settable,
    created: time,
    updated: time,
    recoverableDays: { type: 'integer', minimum: 0, maximum: 90 },
    recoveryLevel,
  },
  ['enabled', 'created', 'updated', 'recoveryLevel', 'recoverableDays'],
);

const id = { ...text, pattern: '^https://[^/]+/secrets/[0-9a-zA-Z-]{1,127}(/[0-9a-f]{32})?$' };
const deletion = {
  recoveryId: { ...text, pattern: '^https://[^/]+/deletedsecrets/[0-9a-zA-Z-]{1,127}$' },
  deletedDate: time,
  scheduledPurgeDate: time,
};
const bundle = {
  value: text,
  id,
  contentType: text,
  attributes,
  tags,
  kid: text,
  managed: flag,
  previousVersion: { ...text, pattern: '^[0-9a-f]{32}$' },
};
const item = { id, attributes, tags, contentType: text, managed: flag };
const page = (entry: object): object =>
  shape({ value: { type: 'array', items: entry, maxItems: 25 }, nextLink: { type: ['string', 'null'] } }, [
    'value',
  ]);
const error = {
  $id: 'error',
  ...shape(
    {
      code: text,
      message: text,
      innererror: {
        type: 'object',
        properties: { code: text },
        required: ['code'],
        additionalProperties: false,
      },
    },
    ['code', 'message'],
  ),
};

export const ERROR_SHAPE = shape({ error }, ['error']);

export interface Operation {
  readonly id: string;
  readonly method: string;
  /** `{…}` stands for one segment. The version in GetSecret and UpdateSecret may be empty. */
  readonly path: string;
  /** Names of query parameters besides api-version. */
  readonly query: readonly string[];
  readonly request?: object;
  readonly status: number;
  /** Missing: no content. */
  readonly answer?: object;
}

const MAX_RESULTS = ['maxresults', '$skiptoken'];

export const OPERATIONS: readonly Operation[] = [
  {
    id: 'GetSecrets',
    method: 'GET',
    path: '/secrets',
    query: MAX_RESULTS,
    status: 200,
    answer: page(shape(item, ['id', 'attributes'])),
  },
  {
    id: 'GetDeletedSecrets',
    method: 'GET',
    path: '/deletedsecrets',
    query: MAX_RESULTS,
    status: 200,
    answer: page(shape({ ...item, ...deletion }, ['id', 'attributes', ...Object.keys(deletion)])),
  },
  {
    id: 'GetDeletedSecret',
    method: 'GET',
    path: '/deletedsecrets/{secret-name}',
    query: [],
    status: 200,
    answer: shape({ ...bundle, ...deletion }, ['id', 'attributes', ...Object.keys(deletion)]),
  },
  {
    id: 'PurgeDeletedSecret',
    method: 'DELETE',
    path: '/deletedsecrets/{secret-name}',
    query: [],
    status: 204,
  },
  {
    id: 'RecoverDeletedSecret',
    method: 'POST',
    path: '/deletedsecrets/{secret-name}/recover',
    query: [],
    status: 200,
    answer: shape(bundle, ['id', 'attributes']),
  },
  {
    id: 'SetSecret',
    method: 'PUT',
    path: '/secrets/{secret-name}',
    query: [],
    request: shape({ value: text, tags, contentType: text, attributes: shape(settable) }, ['value']),
    status: 200,
    answer: shape(bundle, ['value', 'id', 'attributes']),
  },
  {
    id: 'DeleteSecret',
    method: 'DELETE',
    path: '/secrets/{secret-name}',
    query: [],
    status: 200,
    answer: shape({ ...bundle, ...deletion }, ['id', 'attributes', ...Object.keys(deletion)]),
  },
  {
    id: 'GetSecretVersions',
    method: 'GET',
    path: '/secrets/{secret-name}/versions',
    query: MAX_RESULTS,
    status: 200,
    answer: page(shape(item, ['id', 'attributes'])),
  },
  {
    id: 'GetSecret',
    method: 'GET',
    path: '/secrets/{secret-name}/{secret-version}',
    query: ['outContentType'],
    status: 200,
    answer: shape(bundle, ['value', 'id', 'attributes']),
  },
  {
    id: 'UpdateSecret',
    method: 'PATCH',
    path: '/secrets/{secret-name}/{secret-version}',
    query: [],
    request: shape({ contentType: text, attributes: shape(settable), tags }),
    status: 200,
    answer: shape(bundle, ['id', 'attributes']),
  },
];

const ajv = new Ajv({ allErrors: false, strict: true, allowUnionTypes: true });
const compiled = new Map<object, ValidateFunction>();

/** What is wrong with a body; `undefined` when nothing is. Quotes no value of it. */
export function findFault(schema: object, body: unknown): string | undefined {
  let validate = compiled.get(schema);
  if (validate === undefined) {
    validate = ajv.compile(schema);
    compiled.set(schema, validate);
  }
  if (validate(body)) return undefined;
  const [first] = validate.errors ?? [];
  return `${first?.instancePath || '(whole)'} ${first?.message ?? ''} ${JSON.stringify(first?.params ?? {})}`;
}

/** The operation of a request, and its path's parameters. */
export function findOperation(
  method: string,
  path: string,
): { readonly operation: Operation; readonly parameters: readonly string[] } | undefined {
  const given = path.split('/');
  for (const operation of OPERATIONS) {
    const wanted = operation.path.split('/');
    if (operation.method !== method) continue;
    const versioned = wanted.at(-1) === '{secret-version}';
    const segments = versioned && given.length === wanted.length - 1 ? [...given, ''] : given;
    if (segments.length !== wanted.length) continue;
    const parameters: string[] = [];
    const fits = wanted.every((part, index) => {
      const segment = segments[index] ?? '';
      if (!part.startsWith('{')) return part === segment;
      parameters.push(segment);
      return segment !== '' || part === '{secret-version}';
    });
    if (fits) return { operation, parameters };
  }
  return undefined;
}
