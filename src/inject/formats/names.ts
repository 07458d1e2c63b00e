/** The formats of files, as `--format` names them. */
export const FORMATS = [
  'text',
  'dotenv',
  'json',
  'yaml',
  'toml',
  'ini',
  'xml',
  'properties',
  'shell',
  'tfvars',
] as const;
export type Format = (typeof FORMATS)[number];
