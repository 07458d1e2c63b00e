/** Describes the credential in use in terms that its owner knows, and assumes the store's role with it. */
import { systemUser } from '../../platform/machine.ts';
import type { ProviderContext } from '../descriptor.ts';
import type { AwsSettings } from './settings.ts';

type Config = NonNullable<
  ConstructorParameters<typeof import('@aws-sdk/client-secrets-manager').SecretsManagerClient>[0]
>;
export type Credentials = NonNullable<Config['credentials']>;

/** The SDK's note on how it obtained a credential. */
interface CredentialMetadata {
  readonly $source?: Readonly<Record<string, string>> | undefined;
}

/** The SDK's source marks in plain words, the most specific first. */
const SOURCES: readonly (readonly [string, (profile: string) => string])[] = [
  ['CREDENTIALS_ENV_VARS_STS_WEB_ID_TOKEN', () => 'the token of AWS_WEB_IDENTITY_TOKEN_FILE'],
  ['CREDENTIALS_PROFILE_STS_WEB_ID_TOKEN', (profile) => `the web identity of profile ${profile}`],
  ['CREDENTIALS_STS_ASSUME_ROLE_WEB_ID', () => 'the token of AWS_WEB_IDENTITY_TOKEN_FILE'],
  ['CREDENTIALS_PROFILE_SOURCE_PROFILE', (profile) => `the role of profile ${profile}`],
  ['CREDENTIALS_PROFILE_NAMED_PROVIDER', (profile) => `the role of profile ${profile}`],
  ['CREDENTIALS_PROFILE_SSO', (profile) => `the SSO sign-in of profile ${profile}`],
  ['CREDENTIALS_PROFILE_SSO_LEGACY', (profile) => `the SSO sign-in of profile ${profile}`],
  ['CREDENTIALS_SSO', (profile) => `the SSO sign-in of profile ${profile}`],
  ['CREDENTIALS_SSO_LEGACY', (profile) => `the SSO sign-in of profile ${profile}`],
  ['CREDENTIALS_PROFILE_LOGIN', (profile) => `the login of profile ${profile}`],
  ['CREDENTIALS_LOGIN', (profile) => `the login of profile ${profile}`],
  ['CREDENTIALS_PROFILE_PROCESS', (profile) => `the credential_process of profile ${profile}`],
  ['CREDENTIALS_PROCESS', (profile) => `the credential_process of profile ${profile}`],
  ['CREDENTIALS_PROFILE', (profile) => `profile ${profile}`],
  ['CREDENTIALS_HTTP', () => 'the container’s credential endpoint'],
  ['CREDENTIALS_IMDS', () => 'the instance’s metadata service'],
  ['CREDENTIALS_ENV_VARS', () => 'environment variables'],
];

export class AwsCredentials {
  readonly #settings: AwsSettings;
  readonly #context: ProviderContext;
  /** Set once a credential has been found. */
  #found: string | undefined;
  /** The signer: STS's answer, otherwise the id of the key in use. Set once a request has been signed. */
  principal: string | undefined;
  #keyId: string | undefined;

  constructor(settings: AwsSettings, context: ProviderContext) {
    this.#settings = settings;
    this.#context = context;
  }

  /** The requested profile. */
  get profile(): string | undefined {
    return this.#settings.profile ?? this.#context.env['AWS_PROFILE'];
  }

  /** The source of the credential; the places to look for one as long as there is none. */
  get source(): string {
    const { 'assume-role': role } = this.#settings;
    const { profile } = this;
    const looked =
      this.#static() !== undefined
        ? 'environment variables'
        : profile !== undefined
          ? `profile ${profile}`
          : 'environment, ~/.aws, container and instance';
    const base = this.#found ?? looked;
    return role === undefined ? base : `role ${role} assumed with ${base}`;
  }

  /**
   * Notes from the authorization header who signed a request. For an assumed role, the session's ARN consists of the
   * role's ARN without its path and the session's name. Source:
   * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
   */
  noteSigned(authorization: string | undefined): void {
    const keyId = /^AWS4-HMAC-SHA256 Credential=([A-Za-z0-9]+)\//.exec(authorization ?? '')?.[1];
    if (keyId === undefined || keyId === this.#keyId) return;
    this.#keyId = keyId;
    const [, partition, account, name] =
      /^arn:([^:]+):iam::(\d+):role\/(?:.*\/)?([^/]+)$/.exec(this.#settings['assume-role'] ?? '') ?? [];
    this.principal =
      name === undefined
        ? `access key ${keyId}`
        : `arn:${partition}:sts::${account}:assumed-role/${name}/${this.#sessionName()}`;
  }

  /** Notes the source of a credential that the SDK's chain has found. */
  note(credential: unknown): void {
    const marks = (credential as CredentialMetadata).$source ?? {};
    const [, words] = SOURCES.find(([mark]) => mark in marks) ?? [];
    if (words !== undefined && this.#static() === undefined) this.#found = words(this.profile ?? 'default');
  }

  /**
   * The client's credential, if it isn't simply the SDK's default chain.
   * @param sts settings of the STS client that assumes a role
   */
  async provide(sts: {
    readonly region?: string;
    readonly endpoint?: string;
  }): Promise<Credentials | undefined> {
    const { 'assume-role': role, 'external-id': externalId, profile } = this.#settings;
    const fixed = this.#static();
    if (role === undefined) return fixed;
    const { fromTemporaryCredentials, fromNodeProviderChain } = await import('@aws-sdk/credential-providers');
    const chain = fromNodeProviderChain({
      ...(profile !== undefined && { profile }),
      ...(sts.endpoint !== undefined && { clientConfig: { endpoint: sts.endpoint } }),
    });
    return fromTemporaryCredentials({
      params: {
        RoleArn: role,
        RoleSessionName: this.#sessionName(),
        ...(externalId !== undefined && { ExternalId: externalId }),
      },
      masterCredentials:
        fixed ??
        (async (...args) => {
          const found = await chain(...args);
          this.note(found);
          return found;
        }),
      clientConfig: sts,
    });
  }

  /** Keys from the environment variables, unless a profile is requested: loading the chain isn't necessary for them. */
  #static(): { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined {
    const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: key, AWS_SESSION_TOKEN: token } = this.#context.env;
    if (this.#settings.profile !== undefined || !id || !key) return undefined;
    return { accessKeyId: id, secretAccessKey: key, ...(token && { sessionToken: token }) };
  }

  /**
   * CloudTrail shows it beside the role, so it names the person. Source:
   * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
   */
  #sessionName(): string {
    const user = (systemUser() ?? '').replaceAll(/[^\w+=,.@-]/g, '');
    return user === '' ? 'secrets' : `secrets-${user}`.slice(0, 64);
  }
}
