/** Reads the files that `import` takes, completely or not at all. Only loaded by `import`. */
import { SecretsError } from '../core/errors.ts';
import { checkText, type FileValue, jsonFile, jsonOf, textOfFile } from './documents.ts';
import type { Dialect } from './dotenv/dialects.ts';
import { refuseForeign, refuseForeignText, refuseTemplate } from './foreign.ts';
import type { FoundFile, FoundSecret, FoundValue } from './found.ts';
import { FileProblems } from './problems.ts';

export type FileFormat = 'dotenv' | 'json' | 'yaml' | 'kubernetes';

export interface ReadRules {
  readonly format?: FileFormat | undefined;
  readonly dialect?: Dialect | undefined;
}

/** Detects the format from the file's name or text. */
export function formatOf(file: string, text: string): Exclude<FileFormat, 'kubernetes'> {
  if (/\.json$/i.test(file)) return 'json';
  if (/\.ya?ml$/i.test(file)) return 'yaml';
  if (/(^|\/)\.env[^/]*$|\.(env|dotenv)$/i.test(file)) return 'dotenv';
  if (/^\s*[{[]/.test(text)) return 'json';
  return /^\s*(#.*\n\s*)*(export\s+)?[\w.-]+\s*=/.test(text) ? 'dotenv' : 'yaml';
}

/**
 * The secrets of a file: one without a name, or for Kubernetes one for each `Secret` in it.
 * @throws SecretsError Invalid, naming the file, where possible the line, and never its text; Usage for a dialect with
 *   a file that isn't an env file
 */
export async function readSecrets(bytes: Uint8Array, file: string, rules: ReadRules): Promise<FoundFile> {
  const problems = new FileProblems(file);
  if (Buffer.from(bytes.subarray(0, 10)).toString('latin1') === '\0GITCRYPT\0')
    throw problems.whole('is encrypted by git-crypt', 'decrypt it first, with git-crypt unlock');
  const text = textOfFile(bytes, problems);
  refuseForeignText(text, problems);
  const isNamed = /\.(?:json|ya?ml)$/i.test(file);
  const format = rules.format ?? (rules.dialect === undefined || isNamed ? formatOf(file, text) : 'dotenv');
  if (format === 'dotenv') return readDotenv(text, problems, rules.dialect);
  if (rules.dialect !== undefined)
    throw new SecretsError('Usage', '--dialect is for env files', {
      hint: `leave it out, or use --format dotenv`,
    });
  return { secrets: await readDocuments(text, format, problems, rules.format === undefined), warnings: [] };
}

async function readDotenv(
  text: string,
  problems: FileProblems,
  dialect: Dialect | undefined,
): Promise<FoundFile> {
  refuseTemplate(text, problems);
  const { readEnvFile } = await import('./dotenv/read.ts');
  const { values, warnings } = readEnvFile(text, problems, dialect);
  const keys = new Map([...values].map(([name, value]) => [name, { text: value }] as const));
  return { secrets: [{ name: undefined, keys }], warnings };
}

async function readDocuments(
  text: string,
  format: 'json' | 'yaml' | 'kubernetes',
  problems: FileProblems,
  guessed: boolean,
): Promise<readonly FoundSecret[]> {
  const isJson = format === 'json' || (format === 'kubernetes' && /^\s*\{/.test(text));
  const documents = isJson ? [jsonFile(text, problems)] : await yamlDocuments(text, problems);
  const { isManifest, secretsOf } = await import('./manifests.ts');
  // A .json file may be an application's own document, even if it uses the keys of a manifest.
  const isManifests = documents.some(isManifest) && (format !== 'json' || guessed);
  if (isManifests) {
    const found = documents.flatMap((document) => secretsOf(document, problems));
    if (found.length > 0) return found;
  }
  if (isManifests || format === 'kubernetes') throw problems.whole('holds no Kubernetes Secret');
  const [document, second] = documents;
  if (document !== undefined) refuseForeign(document, problems);
  if (second !== undefined) throw problems.at(second.line, 'begins a second document');
  if (document?.kind !== 'map' || document.entries.size === 0)
    throw problems.whole('holds no names with values');
  const keys = [...document.entries].map(([key, value]) => [key, foundValue(key, value, problems)] as const);
  return [{ name: undefined, keys: new Map(keys) }];
}

async function yamlDocuments(text: string, problems: FileProblems): Promise<readonly FileValue[]> {
  refuseTemplate(text, problems);
  const { yamlFile } = await import('./yaml-file.ts');
  return yamlFile(text, problems);
}

/** A name without a value is treated as a mistake, not as an empty secret. */
function foundValue(key: string, value: FileValue, problems: FileProblems): FoundValue {
  checkText(key, value.line, problems);
  if (value.kind === 'null') throw problems.at(value.line, `${key} has no value`);
  if (value.kind === 'text') return { text: checkText(value.text, value.line, problems) };
  if (value.kind === 'bytes') return { bytes: value.bytes };
  return { json: jsonOf(value, problems) };
}
