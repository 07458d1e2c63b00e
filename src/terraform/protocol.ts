/**
 * The part of the plugin protocol of OpenTofu and Terraform (version 6) that this provider speaks: the messages, with
 * the numbers of their fields, as protobufjs reads them. Fields that aren't listed are skipped when they arrive, and a
 * call that isn't listed is answered with "unimplemented", which both programs accept for optional parts.
 *
 * Also the one call of go-plugin, their library for starting plugins, that ends a plugin.
 */
import { fromJSON, type PackageDefinition } from '@grpc/proto-loader';

/** The version of the protocol. */
export const PROTOCOL = 6;

/** Each field as `type name number`; `type[]` repeats, `{type}` is a map from texts. */
const MESSAGES: Readonly<Record<string, readonly string[]>> = {
  DynamicValue: ['bytes msgpack 1', 'bytes json 2'],
  Step: ['string attribute_name 1'],
  AttributePath: ['Step[] steps 1'],
  Diagnostic: ['Severity severity 1', 'string summary 2', 'string detail 3', 'AttributePath attribute 4'],
  RawState: ['bytes json 1'],
  Attribute: [
    ...['string name 1', 'bytes type 2', 'string description 3', 'bool required 4', 'bool optional 5'],
    ...['bool computed 6', 'bool sensitive 7', 'bool write_only 11'],
  ],
  Block: ['int64 version 1', 'Attribute[] attributes 2', 'string description 4'],
  Schema: ['int64 version 1', 'Block block 2'],
  ClientCapabilities: ['bool write_only_attributes_allowed 2'],
  ServerCapabilities: ['bool plan_destroy 1', 'bool get_provider_schema_optional 2'],
  ImportedResource: ['string type_name 1', 'DynamicValue state 2', 'bytes private 3'],
  TypeName: ['string type_name 1'],
};

const DIAGNOSTICS = 'Diagnostic[] diagnostics';

/** The calls: the fields of the request, and those of the answer. */
const CALLS: Readonly<Record<string, readonly [request: readonly string[], answer: readonly string[]]>> = {
  GetMetadata: [
    [],
    [
      ...['ServerCapabilities server_capabilities 1', `${DIAGNOSTICS} 2`, 'TypeName[] data_sources 3'],
      ...['TypeName[] resources 4', 'TypeName[] ephemeral_resources 6'],
    ],
  ],
  GetProviderSchema: [
    [],
    [
      ...['Schema provider 1', '{Schema} resource_schemas 2', '{Schema} data_source_schemas 3'],
      ...[`${DIAGNOSTICS} 4`, 'ServerCapabilities server_capabilities 6'],
      '{Schema} ephemeral_resource_schemas 8',
    ],
  ],
  GetFunctions: [[], [`${DIAGNOSTICS} 2`]],
  ValidateProviderConfig: [['DynamicValue config 1'], [`${DIAGNOSTICS} 2`]],
  ValidateResourceConfig: [
    ['string type_name 1', 'DynamicValue config 2', 'ClientCapabilities client_capabilities 3'],
    [`${DIAGNOSTICS} 1`],
  ],
  ValidateDataResourceConfig: [['string type_name 1', 'DynamicValue config 2'], [`${DIAGNOSTICS} 1`]],
  ValidateEphemeralResourceConfig: [['string type_name 1', 'DynamicValue config 2'], [`${DIAGNOSTICS} 1`]],
  ConfigureProvider: [['string terraform_version 1', 'DynamicValue config 2'], [`${DIAGNOSTICS} 1`]],
  UpgradeResourceState: [
    ['string type_name 1', 'int64 version 2', 'RawState raw_state 3'],
    ['DynamicValue upgraded_state 1', `${DIAGNOSTICS} 2`],
  ],
  ReadResource: [
    ['string type_name 1', 'DynamicValue current_state 2', 'bytes private 3'],
    ['DynamicValue new_state 1', `${DIAGNOSTICS} 2`, 'bytes private 3'],
  ],
  PlanResourceChange: [
    [
      ...['string type_name 1', 'DynamicValue prior_state 2', 'DynamicValue proposed_new_state 3'],
      ...['DynamicValue config 4', 'bytes prior_private 5'],
    ],
    [
      ...['DynamicValue planned_state 1', 'AttributePath[] requires_replace 2', 'bytes planned_private 3'],
      `${DIAGNOSTICS} 4`,
    ],
  ],
  ApplyResourceChange: [
    [
      ...['string type_name 1', 'DynamicValue prior_state 2', 'DynamicValue planned_state 3'],
      ...['DynamicValue config 4', 'bytes planned_private 5'],
    ],
    ['DynamicValue new_state 1', 'bytes private 2', `${DIAGNOSTICS} 3`],
  ],
  ImportResourceState: [
    ['string type_name 1', 'string id 2'],
    ['ImportedResource[] imported_resources 1', `${DIAGNOSTICS} 2`],
  ],
  ReadDataSource: [
    ['string type_name 1', 'DynamicValue config 2'],
    ['DynamicValue state 1', `${DIAGNOSTICS} 2`],
  ],
  OpenEphemeralResource: [
    ['string type_name 1', 'DynamicValue config 2'],
    [`${DIAGNOSTICS} 1`, 'DynamicValue result 3'],
  ],
  CloseEphemeralResource: [['string type_name 1'], [`${DIAGNOSTICS} 1`]],
  StopProvider: [[], ['string Error 1']],
};

interface Field {
  readonly type: string;
  readonly id: number;
  readonly rule?: 'repeated';
  readonly keyType?: 'string';
}

function messageOf(fields: readonly string[]): { readonly fields: Record<string, Field> } {
  const entries = fields.map((field): [string, Field] => {
    const [type = '', name = '', number = ''] = field.split(' ');
    const id = Number(number);
    if (type.startsWith('{')) return [name, { type: type.slice(1, -1), id, keyType: 'string' }];
    return [name, type.endsWith('[]') ? { type: type.slice(0, -2), id, rule: 'repeated' } : { type, id }];
  });
  return { fields: Object.fromEntries(entries) };
}

/** The services, by their full names. */
export function services(): PackageDefinition {
  const messages = Object.entries(MESSAGES).map(([name, fields]) => [name, messageOf(fields)] as const);
  const calls = Object.entries(CALLS).map(([name, [request, answer]]) => {
    return [name, { nested: { Request: messageOf(request), Response: messageOf(answer) } }] as const;
  });
  const methods = Object.keys(CALLS).map((name) => {
    return [name, { requestType: `${name}.Request`, responseType: `${name}.Response` }] as const;
  });
  const provider = {
    Severity: { values: { INVALID: 0, ERROR: 1, WARNING: 2 } },
    ...Object.fromEntries([...messages, ...calls]),
    Provider: { methods: Object.fromEntries(methods) },
  };
  const plugin = {
    Empty: { fields: {} },
    GRPCController: { methods: { Shutdown: { requestType: 'Empty', responseType: 'Empty' } } },
  };
  const all = { nested: { tfplugin6: { nested: provider }, plugin: { nested: plugin } } };
  // The types of the library ask every entry for fields, services too.
  return fromJSON(all as never, { keepCase: true, longs: Number, enums: String });
}
