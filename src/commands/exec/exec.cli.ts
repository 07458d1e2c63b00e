import type { CommandSpec, OptionSpec } from '../command.ts';

/** For `exec`, `env` and `inject`. */
export const maskOption: OptionSpec = {
  flags: '--mask-on-stderr',
  description: 'In GitHub Actions: stderr leads to the runner, so register the values there (::add-mask::)',
};

/** What `exec` and `env` share: where the variables come from. */
export const sourceOptions: readonly OptionSpec[] = [
  {
    flags: '-e, --env <name=ref>',
    description: 'Set a variable to the value of a secret (repeatable)',
    repeat: true,
  },
  {
    flags: '--from <ref>',
    description:
      'Set a variable for each key of a JSON secret, or for each secret under PREFIX/ or PREFIX* (repeatable)',
    repeat: true,
  },
  {
    flags: '--prefix <text>',
    description: 'Prefix for the names from --from, such as APP_ (also capitalizes the names)',
  },
  {
    flags: '--case <case>',
    description: 'Letter case of the names from --from: upper for capitals, keep for no change',
    choices: ['keep', 'upper'],
  },
  {
    flags: '--allow <names>',
    description:
      'Names from --from to set even if programs obey them or they replace a variable, such as PORT,http_proxy (repeatable)',
    repeat: true,
  },
  { flags: '--resolve-env', description: 'Resolve references in inherited variables' },
  { flags: '--no-project', description: 'Ignore the variables of secrets.yaml' },
  maskOption,
];

export const exec: CommandSpec = {
  name: 'exec',
  aliases: ['run'],
  group: 'Injection',
  summary: 'Run a program with secrets in its environment',
  description:
    'Reads every secret before the program starts. If one fails, the program doesn’t start (exit 125). Otherwise ' +
    'the exit code is the program’s own, 128+N if signal N ended it, 127 if it was not found, and 126 if it can’t ' +
    'be run.',
  args: [{ name: '<command...>', description: 'Program and its arguments, after --' }],
  options: [
    ...sourceOptions,
    {
      flags: '--file <name=ref>',
      description: 'Set a variable to the path of a private file with the value (repeatable)',
      repeat: true,
    },
    { flags: '--pristine', description: 'Inherit only PATH, HOME, TERM and similar variables' },
    { flags: '--keep-credentials', description: 'Pass on the credentials used by secrets itself' },
    {
      flags: '--restart-on-rotate',
      description: 'Restart the program after a change of its secrets',
    },
    {
      flags: '--signal-on-rotate <signal>',
      description: 'Signal to send after a change of its files (with --restart-on-rotate: of files only)',
    },
    { flags: '--poll <duration>', description: 'Interval between checks for changes (default 30s)' },
    {
      flags: '--debounce <duration>',
      description: 'Time without further changes before a restart or signal (default 5s)',
    },
    {
      flags: '--stop-timeout <duration>',
      description: 'Time from SIGTERM to SIGKILL at a restart (default 10s)',
    },
    { flags: '--allow-empty', description: 'Start the program even without any variables to set' },
    { flags: '--redact', description: 'Mask the values in the program’s output (default in CI)' },
    { flags: '--no-redact', description: 'Leave the program’s output unmasked' },
  ],
  examples: [
    { command: 'secrets exec -- npm start', does: 'Run with the variables of secrets.yaml' },
    { command: 'secrets exec -e TOKEN=ci/token -- ./deploy.sh', does: 'Add one variable' },
    {
      command: 'secrets exec --from app/db --prefix DB_ -- ./server',
      does: 'Set DB_USER, DB_PASSWORD and so on from the keys of app/db',
    },
    {
      command: 'secrets exec --file KUBECONFIG=prod://kube -- kubectl get pods',
      does: 'Pass a value as a private file',
    },
    {
      command: 'secrets exec --restart-on-rotate -e DB_URL=prod://db#url -- ./server',
      does: 'Restart the server when its secret is rotated',
    },
    {
      command: 'secrets exec --signal-on-rotate HUP --file TLS_KEY=prod://tls#key -- ./proxy',
      does: 'Replace the file, then send SIGHUP',
    },
  ],
  passThrough: true,
  load: () => import('./exec.ts'),
};
