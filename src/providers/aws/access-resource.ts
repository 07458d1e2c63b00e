/** A secret's resource policy: read, validated and written, never in a form that makes the secret public. */
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { nextPage } from './errors.ts';
import type { AwsService } from './service.ts';

export class AwsResourcePolicy {
  readonly #service: AwsService;

  constructor(service: AwsService) {
    this.#service = service;
  }

  /** Undefined for a secret without one. @throws SecretsError NotFound */
  async read(secret: string, signal: AbortSignal): Promise<string | undefined> {
    const { ResourcePolicy: text } = await this.#service.read(signal, ({ sdk, client }, http) =>
      client.send(new sdk.GetResourcePolicyCommand({ SecretId: secret }), http),
    );
    return text === '' ? undefined : text;
  }

  /** @param place `ARN resource policy` */
  async write(place: string, text: string | undefined, signal: AbortSignal): Promise<void> {
    const [SecretId = ''] = place.split(' ', 1);
    if (text === undefined) {
      await this.#service.write(signal, ({ sdk, client }, http) =>
        client.send(new sdk.DeleteResourcePolicyCommand({ SecretId }), http),
      );
      return;
    }
    await this.#validate(SecretId, text, signal);
    await this.#service.write(signal, ({ sdk, client }, http) =>
      client.send(
        new sdk.PutResourcePolicyCommand({ SecretId, ResourcePolicy: text, BlockPublicPolicy: true }),
        http,
      ),
    );
  }

  /** Not every emulator has it, and not every caller may use it; PutResourcePolicy refuses the same. */
  async #validate(SecretId: string, text: string, signal: AbortSignal): Promise<void> {
    const answer = await this.#service
      .read(signal, ({ sdk, client }, http) =>
        client.send(new sdk.ValidateResourcePolicyCommand({ SecretId, ResourcePolicy: text }), http),
      )
      .catch((thrown: unknown) => {
        if (signal.aborted) throw thrown;
        return toSecretsError(thrown).kind === 'Invalid' ? Promise.reject(thrown as Error) : undefined;
      });
    if (answer?.PolicyValidationPassed !== false) return;
    const [problem] = answer.ValidationErrors ?? [];
    throw new SecretsError(
      'Invalid',
      `AWS refuses the resource policy: ${problem?.ErrorMessage ?? 'no reason given'}`,
    );
  }
}

/** The ARNs and names of the store's secrets. */
export async function secretsIn(
  service: AwsService,
  prefix: string,
  signal: AbortSignal,
): Promise<readonly { readonly arn: string; readonly name: string }[]> {
  const found: { readonly arn: string; readonly name: string }[] = [];
  let token: string | undefined;
  do {
    const page = await service.read(signal, ({ sdk, client }, http) =>
      client.send(
        new sdk.ListSecretsCommand({
          MaxResults: 100,
          ...(prefix !== '' && { Filters: [{ Key: 'name', Values: [prefix] }] }),
          ...(token !== undefined && { NextToken: token }),
        }),
        http,
      ),
    );
    for (const { ARN: arn, Name: name = '' } of page.SecretList ?? [])
      if (arn !== undefined && name.startsWith(prefix)) found.push({ arn, name: name.slice(prefix.length) });
    token = nextPage(page.NextToken, token);
  } while (token !== undefined);
  return found;
}
