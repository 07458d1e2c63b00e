/** Making sure that a change holds: services that show it late, never, or fail in between. */
import { changeAccess } from '../../src/access/change.ts';
import { accessPlan, type AccessPlan, type AccessWish } from '../../src/core/access/plan.ts';
import { SecretsError } from '../../src/core/errors.ts';
import type { AccessControl } from '../../src/providers/capabilities/grants.ts';
import { errorOf, now } from '../contract/kit.ts';

const WISH: AccessWish = { change: 'grant', name: 'db', principal: 'role/deploy' };

/** A service with one document, which shows a change after so many milliseconds of waiting. */
class LateService {
  time = 0;
  readonly writes: string[] = [];
  readonly #shown: { readonly from: number; readonly text: string }[] = [];
  readonly #lateness: number;

  constructor(lateness: number) {
    this.#lateness = lateness;
  }

  get control(): AccessControl {
    return {
      plan: async (wish: AccessWish): Promise<AccessPlan> => {
        const before = this.#shown.findLast(({ from }) => from <= this.time)?.text;
        const edits = [{ place: 'policy', before, after: wish.change === 'grant' ? 'granted' : undefined }];
        return accessPlan({ wish, principal: 'role:deploy', edits, notes: [] });
      },
      apply: async ({ edits }: AccessPlan): Promise<void> => {
        const [text = ''] = edits.map(({ after }) => after);
        this.writes.push(text);
        this.#shown.push({ from: this.time + this.#lateness, text });
      },
      ownAccess: async () => 'allowed',
      settles: () => undefined,
    } as unknown as AccessControl;
  }

  readonly pause = async (ms: number): Promise<void> => {
    this.time += ms;
  };
}

test('a change that the service shows late is one change', async () => {
  const service = new LateService(90);
  const made = await changeAccess(service.control, WISH, now, service.pause);
  expect(made.edits).toEqual([{ place: 'policy', before: undefined, after: 'granted' }]);
  expect(service.writes).toEqual(['granted']);
});

test('a service may take seconds', async () => {
  const service = new LateService(4000);
  expect((await changeAccess(service.control, WISH, now, service.pause)).edits).toHaveLength(1);
  expect(service.time).toBeLessThan(8000);
});

test('a service that accepts the change and never shows it is not believed', async () => {
  const service = new LateService(Number.POSITIVE_INFINITY);
  expect(await errorOf(changeAccess(service.control, WISH, now, service.pause))).toMatchObject({
    ...{ kind: 'Unavailable', message: 'the service accepted the change, but doesn’t show it' },
  });
});

test('a failure to look at one’s own access afterwards says that the change is made', async () => {
  const service = new LateService(0);
  let asked = 0;
  const control = {
    ...service.control,
    ownAccess: async () => {
      if ((asked += 1) === 2) throw new SecretsError('Unavailable', 'vault.example can’t be reached');
      return 'allowed' as const;
    },
  };
  const error = await errorOf(changeAccess(control, WISH, now, service.pause));
  expect([error?.kind, error?.message]).toEqual([
    'Unavailable',
    'the change is made, but whether you can still read it isn’t known: vault.example can’t be reached',
  ]);
});

test('whoever loses its own access and can’t undo that is told both', async () => {
  const service = new LateService(0);
  let asked = 0;
  let applied = 0;
  const { apply } = service.control;
  const control: AccessControl = {
    ...service.control,
    apply: async (plan, options) => {
      if ((applied += 1) === 2) throw new SecretsError('Denied', 'not allowed');
      return apply(plan, options);
    },
    ownAccess: async () => ((asked += 1) === 2 ? 'denied' : 'allowed'),
  };
  const error = await errorOf(changeAccess(control, WISH, now, service.pause));
  expect([error?.kind, error?.message]).toEqual([
    'Denied',
    'you can no longer read this secret, and undoing that failed: not allowed',
  ]);
  expect(service.writes).toEqual(['granted']);
});

/** A service with two documents, the second of which somebody else changes when it is first written. */
class BusyService {
  readonly documents = new Map([['second', 'theirs']]);
  isDisturbed = false;

  readonly control = {
    plan: async (wish: AccessWish): Promise<AccessPlan> => {
      const second = this.documents.get('second') as string;
      const edits = [
        { place: 'first', before: this.documents.get('first'), after: 'ours' },
        { place: 'second', before: second, after: second.includes('ours') ? second : `${second} ours` },
      ];
      return accessPlan({ wish, principal: 'role:deploy', edits, notes: [] });
    },
    apply: async ({ edits }: AccessPlan): Promise<void> => {
      for (const { place, before, after } of edits) {
        if (place === 'second' && !this.isDisturbed) {
          this.isDisturbed = true;
          this.documents.set('second', 'changed');
        }
        if (this.documents.get(place) !== before) throw new SecretsError('Conflict', `${place} was changed`);
        if (after === undefined) this.documents.delete(place);
        else this.documents.set(place, after);
      }
    },
    ownAccess: async () => 'allowed' as const,
    settles: () => undefined,
  };
}

test('a change that took two attempts is told as a whole, and undone as a whole', async () => {
  const service = new BusyService();
  const made = await changeAccess(service.control as unknown as AccessControl, WISH, now);
  expect(made.edits).toEqual([
    { place: 'first', before: undefined, after: 'ours' },
    { place: 'second', before: 'changed', after: 'changed ours' },
  ]);
  const other = new BusyService();
  let asked = 0;
  const ownAccess = async () => ((asked += 1) === 2 ? 'denied' : 'allowed');
  const control = { ...other.control, ownAccess } as unknown as AccessControl;
  expect((await errorOf(changeAccess(control, WISH, now)))?.kind).toBe('Policy');
  expect([...other.documents]).toEqual([['second', 'changed']]);
});
