/** Commands that touch no secret, and why. */
export const NO_SECRET: Readonly<
  Record<string, { readonly line: string; readonly why: string; readonly exit?: number }>
> = {
  access: { line: 'secrets access --help', why: 'only its verbs do something' },
  agent: { line: 'secrets agent --help', why: 'only its verbs do something' },
  'agent start': { line: 'secrets agent start --idle 1s', why: 'waits for clients, which tests/agent has' },
  'agent run': { line: 'secrets agent run -- true', why: 'reads what its program asks for' },
  'agent status': { line: 'secrets agent status', why: 'asks the agent alone, and here is none', exit: 3 },
  'agent clear': { line: 'secrets agent clear', why: 'tells the agent alone, and here is none', exit: 3 },
  'agent stop': { line: 'secrets agent stop', why: 'tells the agent alone, and here is none', exit: 3 },
  audit: { line: 'secrets audit --help', why: 'reads the log alone' },
  'audit log': { line: 'secrets audit log --json', why: 'reads the log alone' },
  'audit verify': { line: 'secrets audit verify', why: 'reads the log alone, and here is none', exit: 3 },
  'audit anchor': { line: 'secrets audit anchor', why: 'writes a checkpoint into the log' },
  'audit send': { line: 'secrets audit send', why: 'sends the log alone, and here to nobody', exit: 2 },
  'audit sinks': { line: 'secrets audit sinks', why: 'looks at what was sent' },
  'audit trail': { line: 'secrets audit trail local://', why: 'reads what others recorded' },
  completion: { line: 'secrets completion bash', why: 'prints a script' },
  doctor: { line: 'secrets doctor', why: 'asks who one is' },
  generate: { line: 'secrets generate', why: 'makes a value that nothing keeps' },
  init: { line: 'secrets init --dry-run', why: 'writes addresses' },
  stores: { line: 'secrets stores --check', why: 'asks who one is' },
  terraform: { line: 'secrets terraform --help', why: 'only its verbs do something' },
  'terraform install': { line: 'secrets terraform install', why: 'writes a script' },
  'terraform serve': {
    line: 'secrets terraform serve',
    why: 'OpenTofu starts it; tests/terraform has its records',
    exit: 2,
  },
  trust: { line: 'secrets trust --list', why: 'reads secrets.yaml' },
};
