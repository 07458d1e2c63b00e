/** Calls of the protocol that the OpenTofu of the other tests doesn't make: those of older programs. */
import { promisify } from 'node:util';
import { service } from '../../src/terraform/service.ts';
import type { Sessions } from '../../src/terraform/sessions.ts';
import { encodeBlock } from '../../src/terraform/values.ts';

interface Answer {
  readonly diagnostics: readonly { readonly summary: string; readonly detail: string }[];
}

/** What the provider says about a resource, to a program with these capabilities. */
async function validated(capabilities?: object): Promise<Answer> {
  const world = { env: {}, providers: [] };
  const sessions = { world, of: () => ({ world }), warnings: () => Promise.resolve([]) };
  const calls = service(sessions as unknown as Sessions);
  const validate = promisify(calls['ValidateResourceConfig'] as never) as (call: object) => Promise<Answer>;
  const config = encodeBlock({ ref: 'a', value_wo: 'v', value_wo_version: null, encoding: null });
  return validate({ request: { type_name: 'secrets_secret', config, client_capabilities: capabilities } });
}

test.each([
  ['that says nothing', undefined],
  ['that has none', { write_only_attributes_allowed: false }],
])('a program %s about write-only attributes is told which version has them', async (_what, capabilities) => {
  const { diagnostics } = await validated(capabilities);
  expect(diagnostics).toEqual([
    {
      severity: 'ERROR',
      summary: 'this version of OpenTofu or Terraform has no write-only attributes',
      detail: 'Use OpenTofu 1.11 or Terraform 1.11, or a later version.',
      attribute: { steps: [{ attribute_name: 'value_wo' }] },
    },
  ]);
  expect((await validated({ write_only_attributes_allowed: true })).diagnostics).toEqual([]);
});
