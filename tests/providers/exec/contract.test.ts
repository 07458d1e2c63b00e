/** The contract over the protocol: with the example, which only reads and writes, and with a plugin that has it all. */
import { open } from '../../../src/providers/exec/index.ts';
import { makePlugins, type Plugins } from '../../backends/plugin.ts';
import { contextFor, itKeepsTheContract } from '../../contract/suite.ts';

let plugins: Plugins;
beforeAll(async () => {
  plugins = await makePlugins();
});
afterAll(() => plugins.remove());

describe.each(['files', 'full'])('the plugin %s', (plugin) => {
  itKeepsTheContract({
    open: () => {
      const folder = plugins.folder();
      return open({ plugin, settings: { folder } }, contextFor({ PATH: plugins.path }, '/'));
    },
  });
});
