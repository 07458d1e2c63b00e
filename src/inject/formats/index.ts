/** The formats of files, and which one a file's name means. */
import { basename } from 'node:path';
import { DotenvLexer } from './dotenv.ts';
import { IniLexer } from './ini.ts';
import { JsonLexer } from './json.ts';
import type { Lexer } from './lexer.ts';
import type { Format } from './names.ts';
import { PropertiesLexer } from './properties.ts';
import { ShellLexer } from './shell.ts';
import { TextLexer } from './text.ts';
import { TfvarsLexer } from './tfvars.ts';
import { TomlLexer } from './toml.ts';
import { XmlLexer } from './xml.ts';
import { YamlLexer } from './yaml.ts';

const LEXERS: Readonly<Record<Format, new () => Lexer>> = {
  text: TextLexer,
  dotenv: DotenvLexer,
  json: JsonLexer,
  yaml: YamlLexer,
  toml: TomlLexer,
  ini: IniLexer,
  xml: XmlLexer,
  properties: PropertiesLexer,
  shell: ShellLexer,
  tfvars: TfvarsLexer,
};

export function lexerOf(format: Format): Lexer {
  return new LEXERS[format]();
}

const ENDINGS: Readonly<Record<string, Format>> = {
  env: 'dotenv',
  json: 'json',
  yaml: 'yaml',
  yml: 'yaml',
  toml: 'toml',
  ini: 'ini',
  xml: 'xml',
  properties: 'properties',
  sh: 'shell',
  bash: 'shell',
  tfvars: 'tfvars',
};

/** What people append to the name of a file to call it a template. */
const TEMPLATE = /\.(?:tmpl|tpl|template|ctmpl|in|inject)$/i;

/** The format of a file by its name; `undefined` if the name means none. */
export function formatOf(path: string): Format | undefined {
  const name = basename(path).replace(TEMPLATE, '').toLowerCase();
  // .env, .env.production, .envrc is a script
  if (/^\.env(?:\.|$)/.test(name)) return ENDINGS[name.split('.').at(-1) as string] ?? 'dotenv';
  if (name === '.envrc') return 'shell';
  const ending = /\.([a-z]+)$/.exec(name)?.[1];
  return ending === undefined ? undefined : ENDINGS[ending];
}
