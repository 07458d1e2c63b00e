/** What the tests of plugins share. */
import type { ProviderContext } from '../../../src/providers/descriptor.ts';
import { contextFor } from '../../contract/kit.ts';

export { all, bytes, errorOf, kindOf, now, readOne, within } from '../../contract/kit.ts';

export const contextForPlugin = (path: string): ProviderContext => contextFor({ PATH: path }, '/');
