/** The link in the chain around a provider that keeps values out of messages. */
import { keepOut } from '../output/confidential.ts';
import type { Provider, SecretWrite } from '../providers/provider.ts';

/** Keeps values that are read from or written to a store out of messages. */
export function keepingOut(provider: Provider): Provider {
  const { get, put } = provider;
  const noted: Pick<Provider, 'get' | 'put'> = {
    get: async (requests, options) => {
      const answers = await get.call(provider, requests, options);
      for (const answer of answers) if (answer.ok) keepOut(answer.secret.value);
      return answers;
    },
    put: (name, write: SecretWrite, options) => {
      keepOut(write.value);
      return put.call(provider, name, write, options);
    },
  };
  return Object.assign(provider, noted);
}
