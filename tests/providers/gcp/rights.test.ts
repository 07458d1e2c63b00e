/** What Google is asked about rights, where another rotation makes the pending secret meanwhile. */
import { checkRights } from '../../../src/providers/gcp/rights.ts';
import type { GcpStore } from '../../../src/providers/gcp/store.ts';

/** A store whose sibling comes into being between two questions, with rights on it or without. */
function storeWith(has: boolean): { readonly store: GcpStore; readonly asked: string[] } {
  const asked: string[] = [];
  let there = false;
  const store = {
    granted: async (name: string, wanted: readonly string[]): Promise<ReadonlySet<string>> => {
      asked.push(`granted ${name}`);
      const granted = name === 'db' || (there && has);
      return new Set(granted ? wanted : []);
    },
    find: async (name: string): Promise<object> => {
      asked.push(`find ${name}`);
      there = true;
      return { name };
    },
  };
  return { store: store as unknown as GcpStore, asked };
}

test.each([
  ['has rights on', true, 'allowed'],
  ['has none on', false, 'denied'],
] as const)('a caller who %s what another made just now', async (_title, has, verdict) => {
  const { store, asked } = storeWith(has);
  const rights = await checkRights(store, 'db', ['stage'], AbortSignal.timeout(1000));
  expect(rights).toMatchObject([{ action: 'stage', verdict }]);
  expect(asked.filter((call) => !call.endsWith(' db'))).toEqual([
    expect.stringMatching(/^granted db-/),
    expect.stringMatching(/^find db-/),
    expect.stringMatching(/^granted db-/),
  ]);
});
