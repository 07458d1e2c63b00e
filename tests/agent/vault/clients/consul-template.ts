import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONSUL_TEMPLATE, runClient } from '../../../backends/vault-clients.ts';
import { type Client, type ClientsPlace, type Seen, type StoreName, STORES } from './place.ts';

export function template(store: StoreName, first: number): string {
  const map = (path: string): string =>
    `{{ with secret "${store}/data/${path}" }}{{ .Data.data | toJSON }}{{ end }}`;
  return `"${store}": {
  "db": ${map('payments/db')},
  "v1": {{ with secret "kv1/${store}/payments/db" }}{{ .Data | toJSON }}{{ end }},
  "text": ${map('text')},
  "bytes": ${map('bytes')},
  "first": ${map(`turned?version=${first}`)},
  "last": ${map('turned')},
  "keys": {{ secrets "${store}/metadata/payments" | toJSON }}
}`;
}

/** It tries again what is missing, and ends with an error: a run for each. */
async function missing({ env, folder }: ClientsPlace, store: StoreName): Promise<unknown> {
  const work = folder(`consul-template-${store}`);
  writeFileSync(join(work, 'in'), `{{ with secret "${store}/data/payments/none" }}there{{ end }}`);
  const args = ['-once', '-vault-retry=false', '-template', `${work}/in:${work}/out`];
  const { code, stderr } = await runClient(CONSUL_TEMPLATE, args, { env, cwd: work });
  const said = `no secret exists at ${store}/data/payments/none`;
  return code !== 0 && stderr.includes(said) ? 'missing' : { code, stderr };
}

export const CONSUL: Client = {
  name: 'consul-template',
  files: [CONSUL_TEMPLATE],
  async read(place: ClientsPlace) {
    const work = place.folder('consul-template');
    const stores = STORES.map((store) => template(store, place.first[store]));
    writeFileSync(join(work, 'in'), `{${stores.join()}}`);
    const args = ['-once', '-vault-retry=false', '-template', `${work}/in:${work}/out`];
    const { code, stderr } = await runClient(CONSUL_TEMPLATE, args, { env: place.env, cwd: work });
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    const seen = JSON.parse(readFileSync(join(work, 'out'), 'utf8')) as Record<StoreName, Seen>;
    const gone = await Promise.all(STORES.map((store) => missing(place, store)));
    return Object.fromEntries(
      STORES.map((store, index) => [store, { ...seen[store], missing: gone[index] }]),
    );
  },
};
