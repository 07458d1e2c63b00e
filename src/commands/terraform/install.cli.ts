import type { CommandSpec } from '../command.ts';

export const terraformInstall: CommandSpec = {
  name: 'install',
  group: 'Setup',
  summary: 'Install the provider for OpenTofu and Terraform',
  description:
    'Writes the provider to a filesystem mirror, from which tofu init and terraform init take it, and prints the ' +
    'lines that your configuration needs. Changes no file of yours.',
  options: [
    { flags: '--mirror <folder>', description: 'Folder of the mirror (default ~/.terraform.d/plugins)' },
    { flags: '--dry-run', description: 'Only show which files would be written' },
  ],
  examples: [
    { command: 'secrets terraform install', does: 'Install the provider for your user' },
    {
      command: 'secrets terraform install --mirror /usr/local/share/terraform/plugins',
      does: 'Install it for every user of this machine',
    },
  ],
  load: () => import('./install.ts'),
};
