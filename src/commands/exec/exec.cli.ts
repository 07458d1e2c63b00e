import type { CommandSpec, OptionSpec } from '../command.ts';

/** What `exec` and `env` share: where the variables come from. */
export const sourceOptions: readonly OptionSpec[] = [
  { flags: '-e, --env <name=ref>', description: 'add one variable; may be repeated', repeat: true },
  {
    flags: '--from <ref>',
    description:
      'add a variable for each key of a JSON secret, or for each secret under a prefix that ends in / or *',
    repeat: true,
  },
  {
    flags: '--prefix <text>',
    description: 'put this before the names that --from makes, in capital letters, such as APP_',
  },
  {
    flags: '--case <case>',
    description: 'of the names that --from makes: upper for capital letters, keep for those they have',
    choices: ['keep', 'upper'],
  },
  { flags: '--resolve-env', description: 'also replace references found in inherited variables' },
  { flags: '--no-project', description: 'leave the variables of secrets.yaml out' },
];

export const exec: CommandSpec = {
  name: 'exec',
  aliases: ['run'],
  group: 'Injection',
  summary: 'run a program with secrets in its environment',
  description:
    'Every secret is read before the program starts; if one fails, it does not start (exit 125). The exit code is ' +
    'the program’s own, 128+N when signal N ended it, 127 when it was not found, 126 when it can’t be run.',
  args: [{ name: '<command...>', description: 'the program and its arguments, after --' }],
  options: [
    ...sourceOptions,
    {
      flags: '--file <name=ref>',
      description: 'the variable holds the path of a private file with the value',
      repeat: true,
    },
    { flags: '--pristine', description: 'inherit nothing but PATH, HOME, TERM and the like' },
    { flags: '--keep-credentials', description: 'pass the credentials of secrets itself on as well' },
    {
      flags: '--restart-on-rotate',
      description: 'restart the program when one of its secrets changes',
    },
    {
      flags: '--signal-on-rotate <signal>',
      description: 'send it this signal when a file changes (with --restart-on-rotate: when only files do)',
    },
    { flags: '--poll <duration>', description: 'how often to look for changes; default 30s' },
    {
      flags: '--debounce <duration>',
      description: 'how long secrets must be unchanged before the program is told; default 5s',
    },
    {
      flags: '--stop-timeout <duration>',
      description: 'what the program has from SIGTERM to SIGKILL at a restart; default 10s',
    },
    { flags: '--allow-empty', description: 'start the program even if there is no variable for it' },
    { flags: '--redact', description: 'mask the values in the program’s output (the default in CI)' },
    { flags: '--no-redact', description: 'leave the output alone' },
  ],
  examples: [
    { command: 'secrets exec -- npm start', does: 'with the variables of secrets.yaml' },
    { command: 'secrets exec -e TOKEN=ci/token -- ./deploy.sh', does: 'with one more' },
    {
      command: 'secrets exec --from app/db --prefix DB_ -- ./server',
      does: 'DB_USER, DB_PASSWORD and so on: one for each key of app/db',
    },
    {
      command: 'secrets exec --file KUBECONFIG=prod://kube -- kubectl get pods',
      does: 'a value as a private file',
    },
    {
      command: 'secrets exec --restart-on-rotate -e DB_URL=prod://db#url -- ./server',
      does: 'restart the server when its secret is rotated',
    },
    {
      command: 'secrets exec --signal-on-rotate HUP --file TLS_KEY=prod://tls#key -- ./proxy',
      does: 'put the new file in place, then send SIGHUP',
    },
  ],
  passThrough: true,
  load: () => import('./exec.ts'),
};
