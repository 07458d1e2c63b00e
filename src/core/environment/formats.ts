/**
 * Writes variables for a shell, a parser or a file. Each writer is tested with random values through the real
 * consumer, or against its documented rules if the consumer can't be run.
 */
import { SecretsError } from '../errors.ts';

type Variables = ReadonlyMap<string, string>;

export const ENV_FORMATS = [
  'dotenv',
  'shell',
  'fish',
  'powershell',
  'json',
  'yaml',
  'docker',
  'github',
  'gitlab',
  'kubernetes',
  'tfvars',
] as const;
export type EnvFormat = (typeof ENV_FORMATS)[number];

/** Options that some writers use. */
export interface FormatOptions {
  /** Name of the Kubernetes Secret. */
  readonly name: string;
  /** A random word for delimiters, which no value can predict. */
  readonly nonce: string;
}

/** @throws SecretsError Invalid naming the variable, if the format can't represent its value */
export function writeEnv(format: EnvFormat, variables: Variables, options: FormatOptions): string {
  return WRITERS[format](variables, options);
}

const WRITERS: Readonly<Record<EnvFormat, (variables: Variables, options: FormatOptions) => string>> = {
  dotenv: (variables) =>
    lines(
      variables,
      (name, value) => `${name}=${dotenvValue(value, (what) => refuse('dotenv', name, what))}`,
    ),
  shell: (variables) =>
    lines(variables, (name, value) => `export ${name}='${value.replaceAll("'", "'\\''")}'`),
  fish: (variables) =>
    lines(
      variables,
      (name, value) => `set -gx ${name} '${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`,
    ),
  // about_Quoting_Rules: PowerShell treats curly quotes as single quotes too.
  powershell: (variables) =>
    lines(variables, (name, value) => `$env:${name} = '${value.replace(/['\u2018-\u201b]/g, '$&$&')}'`),
  json: (variables) => `${JSON.stringify(Object.fromEntries(variables), null, 2)}\n`,
  // YAML 1.2 double-quoted scalars can contain JSON strings; `yamlString` escapes what JSON doesn't.
  yaml: (variables) => lines(variables, (name, value) => `${JSON.stringify(name)}: ${yamlString(value)}`),
  docker: (variables) =>
    lines(variables, (name, value) => {
      if (/[\n\r]/.test(value))
        throw refuse('docker', name, 'a line break: an env-file has one line a variable');
      if (Buffer.byteLength(value) + name.length + 1 > DOCKER_LINE_BYTES)
        throw refuse('docker', name, 'over 64 KiB');
      return `${name}=${value}`;
    }),
  github: (variables, { nonce }) =>
    lines(variables, (name, value) => {
      const delimiter = `secrets_${nonce}`;
      if (value.includes(delimiter))
        throw refuse('github', name, 'the delimiter, which was chosen at random');
      // A runner on Windows reads CR LF as one line break, so a value that ends in CR loses it there.
      // (FileCommandManager)
      if (GITHUB_OWN.test(name)) {
        throw new SecretsError('Invalid', `${name} can’t be set through GITHUB_ENV`, {
          hint: 'GitHub keeps GITHUB_*, RUNNER_* and NODE_OPTIONS for itself; choose another name',
        });
      }
      return `${name}<<${delimiter}\n${value}\n${delimiter}`;
    }),
  gitlab: (variables) =>
    lines(variables, (name, value) => {
      // GitLab reads a dotenv report line by line; quotes are kept, white space around a value is lost (docs: dotenv
      // reports).
      if (/[\n\r]/.test(value)) throw refuse('gitlab', name, 'a line break');
      if (value === '') throw refuse('gitlab', name, 'nothing, and a report has no empty values');
      if (value !== value.trim())
        throw refuse('gitlab', name, 'white space at its ends, which GitLab takes away');
      return `${name}=${value}`;
    }),
  kubernetes: (variables, { name: secret }) => {
    const data = [...variables].map(
      ([name, value]) => `  ${name}: ${Buffer.from(value).toString('base64') || '""'}\n`,
    );
    return `apiVersion: v1\nkind: Secret\nmetadata:\n  name: ${yamlString(secret)}\ntype: Opaque\ndata:${data.length === 0 ? ' {}\n' : `\n${data.join('')}`}`;
  },
  tfvars: (variables) =>
    lines(variables, (name, value) => {
      // Terraform and OpenTofu normalise strings to Unicode NFC (docs: types, strings), which would change these
      // values.
      if (value !== value.normalize('NFC')) throw refuse('tfvars', name, 'characters that are not in NFC');
      return `${name} = ${hclString(value)}`;
    }),
};

/** Can't be set from a step (docs: workflow commands, "Setting an environment variable"). */
const GITHUB_OWN = /^(GITHUB_|RUNNER_|NODE_OPTIONS$)/i;
/** The docker client reads env files with Go's bufio.Scanner, whose lines end at 64 KiB. */
const DOCKER_LINE_BYTES = 65_535;

function lines(variables: Variables, line: (name: string, value: string) => string): string {
  return [...variables].map(([name, value]) => `${line(name, value)}\n`).join('');
}

/**
 * Quotes a value so that every reader of env files reads the same: the dotenv package, python-dotenv, compose-go,
 * godotenv, Ruby's dotenv and `sh`, which must not find anything to execute. They agree on single quotes, except for
 * what Python substitutes there, and on double quotes if the value has no characters that are special to any of them.
 * @param refused makes the error for a value that can't be quoted: what it has
 */
export function dotenvValue(value: string, refused: (what: string) => Error): string {
  if (/[\n\r]/.test(value))
    throw refused('a line break, which some readers of env files take for the next variable');
  if (!value.includes("'")) {
    if (value.endsWith('\\') || value.includes('\\\\'))
      throw refused('a backslash at its end or two in a row, which some readers take for an escape');
    const start = value.indexOf('${');
    if (start !== -1 && value.includes('}', start))
      throw refused('${…}, which python-dotenv replaces in single quotes too');
    return `'${value}'`;
  }
  if (/["$`\\]/.test(value))
    throw refused('a single quote beside ", $, ` or a backslash, for which readers have no common quotes');
  return `"${value}"`;
}

/** A double-quoted scalar that YAML 1.1 and 1.2 read as this string. */
export function yamlString(value: string): string {
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** HCL native syntax, quoted templates: `${` and `%{` start an interpolation unless the sign is doubled. */
export function hclString(value: string): string {
  const escaped = value
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
    .replace(/[$%](?=\{)/g, '$&$&')
    .replace(
      /[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  return `"${escaped}"`;
}

function refuse(format: EnvFormat, name: string, what: string): SecretsError {
  return new SecretsError('Invalid', `the format ${format} can’t hold the value of ${name}: it has ${what}`, {
    hint: 'use another --format, such as json, or exec',
  });
}
