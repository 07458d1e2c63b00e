/** The version of this build, inserted by the bundler from package.json. */
declare const SECRETS_VERSION: string | undefined;

export const version: string = typeof SECRETS_VERSION === 'string' ? SECRETS_VERSION : '0.0.0-source';
