import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXTERNAL_SECRETS, runClient } from '../../../backends/vault-clients.ts';
import { type Client, type ClientsPlace, EVERYTHING, outputOf, type Seen, STORES } from './place.ts';

interface More extends Seen {
  readonly password: string;
  readonly byName: readonly string[];
  readonly byTag: readonly string[];
  /** What a PushSecret of KV version 1 left there, twice. */
  readonly pushed: readonly string[];
  /** What it said of a secret of somebody else, and of KV version 2, whose metadata it wants to write. */
  readonly refused: readonly string[];
}

/** The operator wants to know a cluster; with a token from a Secret it asks it for nothing else. */
const KUBECONFIG = `apiVersion: v1
kind: Config
clusters: [{ name: none, cluster: { server: 'http://127.0.0.1:1' } }]
contexts: [{ name: none, context: { cluster: none, user: none } }]
users: [{ name: none, user: {} }]
current-context: none
`;

export const OPERATOR: Client = {
  name: "External Secrets' provider for Vault",
  files: [EXTERNAL_SECRETS],
  // It finds by name and by tag instead.
  cannot: ['keys'],
  async read({ address, token, first, env, folder }: ClientsPlace) {
    const cwd = folder('external-secrets');
    writeFileSync(join(cwd, 'kubeconfig'), KUBECONFIG);
    const ended = await runClient(EXTERNAL_SECRETS, [], {
      env: { HOME: env['HOME'] ?? '', KUBECONFIG: join(cwd, 'kubeconfig') },
      cwd,
      input: JSON.stringify({ address, token, first }),
    });
    const found = JSON.parse(outputOf(ended)) as Readonly<Record<string, More>>;
    const { password } = EVERYTHING.db as { readonly password: string };
    return Object.fromEntries(
      STORES.map((store) => {
        const { password: own, byName, byTag, pushed, refused, ...seen } = found[store] as More;
        expect({ store, own, byName, byTag, pushed, refused }).toEqual({
          ...{ store, own: password, byName: ['payments/db', 'payments/deep/key'], byTag: ['payments/db'] },
          pushed: ['one', 'two'],
          refused: [
            'secret not managed by external-secrets',
            expect.stringMatching(/metadata\/new\/other\nCode: 403[^]*permission denied/),
          ],
        });
        return [store, seen];
      }),
    );
  },
};
