import { FORMATS } from '../inject/formats/names.ts';
import type { CommandSpec } from './command.ts';
import { maskOption } from './exec/exec.cli.ts';

export const inject: CommandSpec = {
  name: 'inject',
  group: 'Injection',
  summary: 'Write a template with its secrets',
  description:
    'Replaces each {{ REF }} of a template with the value of the secret, escaped for the format of the file. Writes ' +
    'the whole file (mode 0600) or nothing: every reference that fails, and every value that the format can’t hold, ' +
    'is listed with its line and column.\n\nFilters: {{ REF | base64 }}, json, shell, yaml, url, number, bool.',
  args: [
    {
      name: '[command...]',
      description: 'With --watch: program to run after each change of the file, after --',
    },
  ],
  options: [
    { flags: '-i, --in <file>', description: 'Template (default stdin)' },
    { flags: '-o, --out <file>', description: 'File to write (default stdout)' },
    {
      flags: '--format <format>',
      description: 'Format that decides how values are escaped (default: by the name of the file)',
      choices: FORMATS,
    },
    { flags: '--bare', description: 'Also replace references without {{ }}: STORE://NAME#KEY' },
    {
      flags: '-f, --force',
      description: 'Write into a git repository even if .gitignore doesn’t cover the file',
    },
    {
      flags: '--watch',
      description: 'Keep running, and write the file again when a secret or the template changes',
    },
    { flags: '--poll <duration>', description: 'Interval between checks for changes (default 30s)' },
    {
      flags: '--debounce <duration>',
      description: 'Time without further changes before writing (default 5s)',
    },
    maskOption,
    { flags: '--dry-run', description: 'List what the template asks for, without reading a value' },
  ],
  examples: [
    {
      command: 'secrets inject -i config.json.tmpl -o config.json',
      does: 'Write config.json with its secrets, escaped for JSON',
    },
    {
      command: 'secrets inject -i config.yaml.tmpl --dry-run',
      does: 'Show what somebody else’s template would read',
    },
    {
      command: 'secrets inject -i nginx.conf.tmpl -o nginx.conf --watch -- nginx -s reload',
      does: 'Write the file again after a rotation, then reload nginx',
    },
    {
      command: 'secrets inject -i manifest.yaml | kubectl apply --server-side -f -',
      does: 'Write to another program instead of a file',
    },
  ],
  passThrough: true,
  load: () => import('./inject.ts'),
};
