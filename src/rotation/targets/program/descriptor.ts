import type { TargetDescriptor } from '../../target.ts';

export const program: TargetDescriptor = {
  type: 'program',
  title: 'any program that sets, tries and ends values, which it reads as JSON from its standard input',
  trustItems: (settings) =>
    ['apply', 'verify', 'retire'].flatMap((setting) => {
      const command = settings[setting];
      if (command === undefined || (setting === 'verify' && command === 'none')) return [];
      const value = Array.isArray(command) ? command.map(String).join(' ') : JSON.stringify(command);
      return [{ setting, value, effect: 'this program is run, and reads the secret’s values' }];
    }),
  verifies: ({ verify }) => verify !== undefined && verify !== 'none',
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
