/** The version of this build; the bundler puts package.json's in. */
declare const SECRETS_VERSION: string | undefined;

export const version: string = typeof SECRETS_VERSION === 'string' ? SECRETS_VERSION : '0.0.0-source';
