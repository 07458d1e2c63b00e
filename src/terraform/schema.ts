/** The blocks of the provider, as `tofu providers schema` shows them. */

interface Attribute {
  readonly name: string;
  /** In JSON, as the protocol wants it. */
  readonly type: Buffer;
  readonly description: string;
  readonly required?: true;
  readonly optional?: true;
  readonly computed?: true;
  readonly sensitive?: true;
  readonly write_only?: true;
}

export interface Schema {
  readonly version: number;
  readonly block: { readonly attributes: readonly Attribute[]; readonly description: string };
}

type Type = 'string' | 'number' | readonly ['list' | 'map', 'string'];
type Traits = Omit<Attribute, 'name' | 'type' | 'description'>;

function attribute(name: string, type: Type, description: string, traits: Traits): Attribute {
  return { name, type: Buffer.from(JSON.stringify(type)), description, ...traits };
}

function schema(description: string, attributes: readonly Attribute[]): Schema {
  return { version: 0, block: { attributes, description } };
}

const REF = 'Reference of the secret: STORE://NAME[?version=ID|?stage=STAGE][#KEY]';
const ENCODING = 'text (the default), or base64 for values that are not UTF-8 text';

const secret = (description: string): Schema =>
  schema(description, [
    attribute('ref', 'string', REF, { required: true }),
    attribute('encoding', 'string', ENCODING, { optional: true }),
    attribute('value', 'string', 'The value', { computed: true, sensitive: true }),
    attribute('data', ['map', 'string'], 'The keys of a JSON object and their values', {
      computed: true,
      sensitive: true,
    }),
    attribute('version', 'string', 'Id of the version that was read', { computed: true }),
  ]);

const list = (description: string): Schema =>
  schema(description, [
    attribute('prefix', 'string', 'Beginning of the names: [STORE://][PREFIX]', { optional: true }),
    attribute('names', ['list', 'string'], 'The names, in order', { computed: true }),
    attribute('refs', ['list', 'string'], 'The references, in the order of the names', { computed: true }),
  ]);

export const PROVIDER = schema('Reads and writes secrets in every secret manager.', [
  attribute('profile', 'string', 'Profile of secrets.yaml', { optional: true }),
  attribute('store', 'string', 'Store for names without STORE://', { optional: true }),
  attribute('timeout', 'string', 'Time limit for calls to a store, such as 10s (default 30s)', {
    optional: true,
  }),
  attribute('reason', 'string', 'Reason to record in the audit log', { optional: true }),
]);

export const DATA: Readonly<Record<string, Schema>> = {
  secrets_secret: secret('Reads a secret INTO THE STATE. Use the ephemeral resource where you can.'),
  secrets_list: list('Lists the names of secrets.'),
};

export const EPHEMERAL: Readonly<Record<string, Schema>> = {
  secrets_secret: secret('Reads a secret and keeps it out of the state and the plan.'),
  secrets_list: list('Lists the names of secrets.'),
  secrets_generate: schema('Generates a random value and keeps it out of the state and the plan.', [
    attribute('spec', 'string', 'Kind of value, as `secrets generate` takes it (default alnum:32)', {
      optional: true,
    }),
    attribute('value', 'string', 'The value', { computed: true, sensitive: true }),
    attribute('data', ['map', 'string'], 'The parts of a key pair', { computed: true, sensitive: true }),
    attribute('bits', 'number', 'Strength of the value in bits', { computed: true }),
  ]),
};

export const RESOURCES: Readonly<Record<string, Schema>> = {
  secrets_secret: schema('Writes a secret whose value is neither in the state nor in the plan.', [
    attribute('ref', 'string', 'Reference of the secret: STORE://NAME', { required: true }),
    attribute(
      'value_wo',
      'string',
      'The value. Written when the secret is created, and with value_wo_version',
      {
        required: true,
        sensitive: true,
        write_only: true,
      },
    ),
    attribute('value_wo_version', 'number', 'Change it to write the value again', { optional: true }),
    attribute('encoding', 'string', ENCODING, { optional: true }),
    attribute('version', 'string', 'Id of the current version', { computed: true }),
  ]),
};
