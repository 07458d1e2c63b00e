/** The calls of the protocol: what each is asked, and what it answers. */
import type { sendUnaryData, ServerUnaryCall, UntypedServiceImplementation } from '@grpc/grpc-js';
import { parseDuration } from '../core/duration.ts';
import { SecretsError } from '../core/errors.ts';
import { about, type Diagnostic, failure, warning } from './diagnostics.ts';
import { DATA_READERS, EPHEMERAL_READERS, type Reader } from './reading.ts';
import { NEEDED } from './handshake.ts';
import * as resource from './resource.ts';
import { DATA, EPHEMERAL, PROVIDER, RESOURCES } from './schema.ts';
import type { Sessions } from './sessions.ts';
import { type Attributes, decodeBlock, type DynamicValue, encodeBlock, textOf } from './values.ts';
import type { Written } from './written.ts';

/** The fields of all requests: each call uses some of them. */
interface Request {
  readonly type_name?: string;
  readonly terraform_version?: string;
  readonly id?: string;
  readonly config?: DynamicValue | null;
  readonly current_state?: DynamicValue | null;
  readonly prior_state?: DynamicValue | null;
  readonly proposed_new_state?: DynamicValue | null;
  readonly planned_state?: DynamicValue | null;
  readonly raw_state?: { readonly json?: Uint8Array } | null;
  readonly client_capabilities?: { readonly write_only_attributes_allowed?: boolean } | null;
  readonly private?: Uint8Array;
  readonly prior_private?: Uint8Array;
  readonly planned_private?: Uint8Array;
}

type Answer = Readonly<Record<string, unknown>> & { readonly diagnostics?: readonly Diagnostic[] };
type Work = (request: Request) => Promise<Answer> | Answer;

const CAPABILITIES = { plan_destroy: true, get_provider_schema_optional: true };
const named = (blocks: object): object[] => Object.keys(blocks).map((name) => ({ type_name: name }));

/** Calls that answer with the same every time. */
const CONSTANT: Readonly<Record<string, Answer>> = {
  GetMetadata: {
    server_capabilities: CAPABILITIES,
    data_sources: named(DATA),
    ephemeral_resources: named(EPHEMERAL),
    resources: named(RESOURCES),
  },
  GetProviderSchema: {
    server_capabilities: CAPABILITIES,
    provider: PROVIDER,
    data_source_schemas: DATA,
    ephemeral_resource_schemas: EPHEMERAL,
    resource_schemas: RESOURCES,
  },
  GetFunctions: {},
  // Nothing is kept open for an ephemeral resource.
  CloseEphemeralResource: {},
};

const IN_STATE = warning(
  'This secret is stored in the state',
  'data "secrets_secret" writes the value to the state file and to saved plans, in clear text unless they are ' +
    'encrypted. Use ephemeral "secrets_secret" where the value is only passed on.',
);

export function service(sessions: Sessions): UntypedServiceImplementation {
  const work: Readonly<Record<string, Work>> = {
    ...Object.fromEntries(Object.entries(CONSTANT).map(([name, answer]) => [name, () => answer])),
    ...configuring(sessions),
    ...reading(sessions),
    ...managing(sessions),
  };
  return Object.fromEntries(Object.entries(work).map(([name, one]) => [name, handler(sessions, one)]));
}

/** Answers with the failure as a diagnostic; an error of gRPC would be shown as a crash of the provider. */
function handler(sessions: Sessions, work: Work) {
  return async (call: ServerUnaryCall<Request, Answer>, done: sendUnaryData<Answer>): Promise<void> => {
    done(null, await answerTo(sessions, work, call.request));
  };
}

/** Never rejects. */
async function answerTo(sessions: Sessions, work: Work, request: Request): Promise<Answer> {
  const answer = async (): Promise<Answer> => {
    try {
      return await work(request);
    } catch (thrown) {
      return { diagnostics: await failure(sessions.world, thrown) };
    }
  };
  const { diagnostics = [], ...fields } = await answer();
  const warnings = (await sessions.warnings()).map((text) => warning(text, ''));
  return { ...fields, diagnostics: [...diagnostics, ...warnings] };
}

function configOf(request: Request): Attributes {
  return decodeBlock(request.config) ?? {};
}

function configuring(sessions: Sessions): Readonly<Record<string, Work>> {
  return {
    ValidateProviderConfig: () => ({}),
    ConfigureProvider: async (request) => {
      const config = configOf(request);
      const given: Record<string, string> = {};
      for (const { name } of PROVIDER.block.attributes) {
        const text = await about(name, () => textOf(config, name));
        if (text !== undefined) given[name] = text;
      }
      const { timeout } = given;
      if (timeout !== undefined) await about('timeout', () => void parseDuration(timeout));
      sessions.configure(given, request.terraform_version ?? '');
      // Here, and not again on every block that needs them.
      const { profile, store } = given;
      const session = sessions.of('data');
      if (profile !== undefined) await about('profile', () => session.config());
      if (store !== undefined) await about('store', () => session.storeConfig(store));
      return {};
    },
    StopProvider: () => {
      sessions.stop();
      return {};
    },
  };
}

function readerOf(readers: Readonly<Record<string, Reader>>, { type_name: name = '' }: Request): Reader {
  const reader = Object.hasOwn(readers, name) ? readers[name] : undefined;
  if (reader === undefined) throw new TypeError(`this provider has no ${name}`);
  return reader;
}

function reading(sessions: Sessions): Readonly<Record<string, Work>> {
  const check =
    (readers: Readonly<Record<string, Reader>>, kind: 'data' | 'ephemeral'): Work =>
    async (request) => {
      await readerOf(readers, request).check(sessions.of(kind), configOf(request));
      return {};
    };
  return {
    ValidateDataResourceConfig: check(DATA_READERS, 'data'),
    ValidateEphemeralResourceConfig: check(EPHEMERAL_READERS, 'ephemeral'),
    ReadDataSource: async (request) => {
      const state = await readerOf(DATA_READERS, request).read(sessions.of('data'), configOf(request));
      const diagnostics = request.type_name === 'secrets_secret' ? [IN_STATE] : [];
      return { state: encodeBlock(state), diagnostics };
    },
    OpenEphemeralResource: async (request) => {
      const reader = readerOf(EPHEMERAL_READERS, request);
      return { result: encodeBlock(await reader.read(sessions.of('ephemeral'), configOf(request))) };
    },
  };
}

/** What the program keeps beside the state: base64 of JSON there. */
function writtenOf(kept: Uint8Array | undefined): Written {
  if (kept === undefined || kept.length === 0) return {};
  return JSON.parse(Buffer.from(kept).toString()) as Written;
}

const bytesOf = (written: Written): Buffer => Buffer.from(JSON.stringify(written));

function managing(sessions: Sessions): Readonly<Record<string, Work>> {
  const session = (): ReturnType<Sessions['of']> => sessions.of('resource');
  return {
    ValidateResourceConfig: async (request) => {
      await resource.check(session(), configOf(request));
      // Without it, the program would keep the value in its state, and call the answer a bug of the provider.
      if (request.client_capabilities?.write_only_attributes_allowed !== true)
        await about('value_wo', () => {
          throw new SecretsError(
            'Unsupported',
            'this version of OpenTofu or Terraform has no write-only attributes',
            {
              hint: NEEDED,
            },
          );
        });
      return {};
    },
    UpgradeResourceState: ({ raw_state: raw }) => ({ upgraded_state: { json: raw?.json } }),
    ReadResource: async (request) => {
      const before = { state: decodeBlock(request.current_state), written: writtenOf(request.private) };
      const { state, written } = await resource.refresh(session(), before);
      return { new_state: encodeBlock(state), private: bytesOf(written) };
    },
    ImportResourceState: async ({ type_name: type, id = '' }) => {
      const { state, written } = await resource.importSecret(session(), id);
      const imported = { type_name: type, state: encodeBlock(state), private: bytesOf(written) };
      return { imported_resources: [imported] };
    },
    PlanResourceChange: async (request) => {
      const before = { state: decodeBlock(request.prior_state), written: writtenOf(request.prior_private) };
      const planned = await resource.plan(session(), before, decodeBlock(request.proposed_new_state));
      return {
        planned_state: encodeBlock(planned.state),
        planned_private: bytesOf(planned.written),
        requires_replace: planned.replace,
        diagnostics: planned.warnings,
      };
    },
    ApplyResourceChange: async (request) => {
      const before = {
        state: decodeBlock(request.prior_state),
        written: writtenOf(request.planned_private),
      };
      try {
        const planned = decodeBlock(request.planned_state);
        const { state, written } = await resource.apply(session(), before, planned, configOf(request));
        return { new_state: encodeBlock(state), private: bytesOf(written) };
      } catch (thrown) {
        // Without a state, the program would take the secret for gone.
        return {
          new_state: encodeBlock(before.state),
          private: bytesOf(before.written),
          diagnostics: await failure(sessions.world, thrown),
        };
      }
    },
  };
}
