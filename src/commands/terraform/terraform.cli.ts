import type { CommandSpec } from '../command.ts';
import { terraformInstall } from './install.cli.ts';
import { terraformServe } from './serve.cli.ts';

/** `terraform` itself does nothing: each verb has a file of its own. */
export const terraform: CommandSpec = {
  name: 'terraform',
  group: 'Injection',
  summary: 'Provider for OpenTofu and Terraform',
  examples: [],
  subcommands: [terraformInstall, terraformServe],
};
