/** What the commands about access have in common. */
import type { ArgumentSpec, OptionSpec } from '../command.ts';

export const principalArgument: ArgumentSpec = {
  name: '<principal>',
  description: 'role/deploy, user:alice, group:team, or the service’s own name for it',
};

export const referenceArgument: ArgumentSpec = { name: '<ref>', description: 'Secret: STORE://NAME' };

export const throughOption: OptionSpec = {
  flags: '--through <policy>',
  description: 'For aws: the principal’s own policy or the secret’s (default: identity where possible)',
  choices: ['identity', 'resource'],
};

export const dryRunOption: OptionSpec = {
  flags: '--dry-run',
  description: 'Print the diff of the store’s policies without changing them',
};
