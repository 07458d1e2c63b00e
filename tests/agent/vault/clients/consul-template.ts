import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
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

/**
 * Runs it as a daemon while the secrets change, each in its store.
 * @returns what it rendered before, and after
 */
export async function renderedTwice({ env, folder, sh }: ClientsPlace): Promise<readonly string[]> {
  const cwd = folder('consul-template-daemon');
  const put = (value: string): Promise<unknown> =>
    sh(STORES.map((store) => `printf ${value} | secrets put --quiet ${store}://watched`).join(' && '));
  const all = STORES.map(
    (store) => `{{ with secret "${store}/data/watched" }}{{ .Data.data.value }}{{ end }}`,
  );
  writeFileSync(join(cwd, 'in'), all.join());
  await put('before');
  // It reads again what has no lease after this time; five minutes unless told.
  const args = ['-vault-default-lease-duration', '1s', '-template', `${cwd}/in:${cwd}/out`];
  const { PATH = '' } = process.env;
  const daemon = spawn(CONSUL_TEMPLATE, args, { cwd, env: { PATH, ...env }, stdio: 'ignore' });
  const ended = new Promise((resolve) => daemon.once('close', resolve));
  const rendered = async (value: string): Promise<string> => {
    const end = Date.now() + 60_000;
    const wanted = STORES.map(() => value).join();
    for (;;) {
      const text = existsSync(join(cwd, 'out')) ? readFileSync(join(cwd, 'out'), 'utf8') : '';
      if (text === wanted || Date.now() > end) return text;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  try {
    const before = await rendered('before');
    await put('after');
    return [before, await rendered('after')];
  } finally {
    daemon.kill('SIGINT');
    await ended;
  }
}
