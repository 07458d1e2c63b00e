/** A secrets.yaml that belongs to root: an administrator's, for every user of the machine. */
import { chownSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT_USER, testNeeding } from '../needs.ts';
import { type Machine, makeMachine } from './setup.ts';

let machine: Machine;
beforeEach(() => {
  machine = makeMachine();
});
afterEach(() => machine.remove());

testNeeding(ROOT_USER)(
  'takes a file of root for any user, in a folder that is not a stranger’s',
  async () => {
    machine.write('home/p/secrets.yaml', 'env: { LOG_LEVEL: debug }\n');
    const asUser = (): ReturnType<Machine['load']> => machine.load('home/p', {}, { uid: 4711 });
    expect(await asUser()).toMatchObject({ file: join(machine.home, 'p/secrets.yaml'), warnings: [] });
    // In the user's own folder as well; not where somebody else could put another file in its place.
    chownSync(join(machine.home, 'p'), 4711, 4711);
    expect((await asUser()).file).toBe(join(machine.home, 'p/secrets.yaml'));
    chownSync(join(machine.home, 'p'), 12_345, 12_345);
    expect(await asUser()).toMatchObject({
      file: undefined,
      warnings: [expect.stringMatching(/p\/secrets\.yaml is not read.*uid 12345/)],
    });
  },
);
