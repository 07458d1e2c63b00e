/** What `secrets reference` prints for each tool, without a store. */
import type { NativeSecret } from '../../src/core/native-reference/secret.ts';
import { namesFor, TOOLS, toolFor } from '../../src/core/native-reference/tools.ts';

export function secret(provider: string, more: Partial<NativeSecret> = {}): NativeSecret {
  const ids: Readonly<Record<string, string>> = {
    aws: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:pay/db-AbCdEf',
    azure: 'https://pay.vault.azure.net/secrets/pay-db',
    gcp: 'projects/acme/secrets/pay-db',
  };
  const name = provider === 'azure' || provider === 'gcp' ? 'pay-db' : 'pay/db';
  const place =
    provider === 'vault' ? { address: 'https://v.example', mount: 'kv', kvVersion: 2 as const } : {};
  return { text: name, store: 'prod', provider, title: provider, name, id: ids[provider], place, ...more };
}

export const written = (tool: string, of: NativeSecret): string => toolFor(tool, of).write(of, namesFor(of));

/** The manifests that this tool prints: the current secret, a key of it, a version, where it takes them. */
export function manifests(tool: string): readonly string[] {
  const variants: readonly Partial<NativeSecret>[] = [
    {},
    { key: 'password' },
    { version: '2' },
    { key: 'pass-word', stage: 'previous' },
  ];
  return (TOOLS[tool]?.reads ?? []).flatMap((provider) =>
    variants.flatMap((more) => {
      try {
        return [written(tool, secret(provider, more))];
      } catch {
        return [];
      }
    }),
  );
}
