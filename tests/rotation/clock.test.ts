/** Machines whose clocks are off by a day, ahead and behind: when something is due, and when a holder is dead. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { scenarioFiles as vaultFiles } from '../backends/vault.ts';
import { describeWith } from '../backends/server.ts';
import { findBackend } from '../e2e/backends.ts';
import { makePlace, type Outcome, type Place } from '../e2e/program.ts';

const DAY_MS = 86_400_000;
const LEASE_MS = 3000;
const at = (name: string): string => join(process.cwd(), 'tests/rotation', name);

for (const store of ['local', 'vault'])
  describeWith(`clocks off by a day, with ${store}`, store === 'vault' ? vaultFiles : [], () => {
    let place: Place;
    let env: Readonly<Record<string, string>>;
    let stop: () => Promise<void>;
    beforeAll(async () => {
      const found = await findBackend(store);
      if (!found.usable) throw new Error('checked already');
      ({ env, stop } = await found.start());
      place = await makePlace();
      writeFileSync(
        join(place.cwd, 'secrets.yaml'),
        JSON.stringify({
          rotation: {
            lease: '3s',
            [`${store}://ahead`]: { every: '30d' },
            [`${store}://behind`]: { every: '30d' },
          },
        }),
      );
    });
    afterAll(async () => {
      await place.remove();
      await stop();
    });

    /** On a machine whose clock is off; `state` gives it a memory of its own. */
    const on = (off: number, state: string, line: string, more = {}): Promise<Outcome> =>
      place.sh(`${line}; exit $?`, {
        SECRETS_LOCAL_KEY_METHOD: 'key-file',
        XDG_STATE_HOME: join(place.root, state),
        ...env,
        NODE_OPTIONS: `--require=${at('shift-clock.cjs')}`,
        CLOCK_OFF: String(off),
        ...more,
      });
    const stateOf = async (off: number, reference: string): Promise<string | undefined> => {
      const { stdout } = await on(off, 'reader', 'secrets rotate status --trust --json');
      const { secrets } = JSON.parse(stdout) as { secrets: { reference: string; state: string }[] };
      return secrets.find((one) => one.reference === reference)?.state;
    };

    test('years ahead: due as soon as the clock is right, and said', async () => {
      const reference = `${store}://ahead`;
      const [right, years] = [0, 400 * DAY_MS];
      await on(years, 'first', `printf first | secrets put --quiet ${reference}`);
      // All that is due is rotated here, and what is missing would be too.
      await on(right, 'first', `printf first | secrets put --quiet ${store}://behind`);
      expect(await on(years, 'first', `secrets rotate ${reference} --trust`)).toMatchObject({ code: 0 });
      const { stdout } = await on(years, 'first', `secrets get ${reference}`);
      if (store === 'local') {
        const status = await on(right, 'reader', 'secrets rotate status --trust');
        expect(status.stdout).toMatch(/ahead\s+overdue\s+in the future/);
        expect(status.stderr).toContain('is in the future');
        expect(await on(right, 'first', 'secrets rotate --due --trust')).toMatchObject({ code: 0 });
        const after = await on(right, 'first', `secrets get ${reference}`);
        expect(after.stdout).not.toBe(stdout);
      }
      // In a store with a clock of its own the wrong one is of no account.
      expect(await stateOf(right, reference)).toBe('ok');
      expect(await stateOf(31 * DAY_MS, reference)).toBe('overdue');
    });

    test.each([
      ['ahead', DAY_MS],
      ['behind', -DAY_MS],
    ])(
      'a day %s',
      async (name, off) => {
        const reference = `${store}://${name}`;
        expect(await on(0, 'first', `printf first | secrets put --quiet ${reference}`)).toMatchObject({
          code: 0,
        });
        expect(await on(off, 'first', `secrets rotate ${reference} --trust`)).toMatchObject({ code: 0 });
        // Due dates move by as much as the clock is off, and by no more.
        expect(await stateOf(DAY_MS, reference)).toBe('ok');
        // A date that is yet to come says nothing of the value's age, which counts as due; what the store's own clock
        // says, or another date, is believed instead where there is one.
        expect(await stateOf(0, reference)).toBe(name === 'behind' || store === 'vault' ? 'ok' : 'overdue');
        expect(await stateOf(-DAY_MS, reference)).toBe(name === 'behind' ? 'ok' : 'overdue');
        expect(await stateOf(28 * DAY_MS, reference)).toBe('ok');
        expect(await stateOf(32 * DAY_MS, reference)).toBe('overdue');

        // Dies with its value pending. It may be any of these moments: the first after which something is.
        let pending: Outcome | undefined;
        for (let point = 1; pending?.code !== 0; point += 1) {
          const killed = await on(off, 'first', `secrets rotate ${reference} --trust --quiet`, {
            NODE_OPTIONS: `--require=${at('shift-clock.cjs')} --require=${at('kill-at.cjs')}`,
            KILL_AT: `${point} after`,
          });
          expect([point, killed.code]).toEqual([point, 137]);
          pending = await on(0, 'reader', `secrets get '${reference}?stage=pending'`);
        }
        // Whatever the clock of who comes says, the lease is waited for.
        for (const other of [-off, 0])
          expect(await on(other, `look ${other}`, `secrets rotate ${reference} --trust`)).toMatchObject({
            code: 5,
          });
        const from = performance.now();
        expect(await on(-off, 'second', `secrets rotate resume ${reference} --trust`)).toMatchObject({
          code: 0,
        });
        expect(performance.now() - from).toBeGreaterThan(LEASE_MS);
        expect((await on(0, 'reader', `secrets get ${reference}`)).stdout).toBe(pending.stdout);
        expect(await on(0, 'reader', `secrets get '${reference}?stage=pending'`)).toMatchObject({ code: 3 });
      },
      300_000,
    );
  });
