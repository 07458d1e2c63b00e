/**
 * Every transition of the rotation's machine, in runs that are written down here as they are meant: what is done, what
 * comes of it, and how it ends. rotation.test.ts shows that no order of them locks anybody out; this is what else they
 * are for: that work is not left to a person which need not be, and that an ending says what has happened.
 */
import {
  begin,
  effectOf,
  type Ending,
  type Event,
  type Intent,
  isEnding,
  next,
  transitions,
  type Working,
} from '../../../src/core/rotation/machine.ts';

const CLAIMED = 'look none, prepare ok, claim ok';
const READ = 'read-back ok';
const PROMOTED = 'promote ok, finish ok';
const APPLIED = `${READ}, apply-new ok, verify-new accepted`;
const UNDONE = 'verify-old accepted, retire-new ok, discard ok';
const RESTORED = `apply-old ok, ${UNDONE}`;
const ISSUED = `${CLAIMED}, issue ok`;
const PROMOTING = `${CLAIMED}, ${APPLIED}`;

interface Run {
  readonly title: string;
  readonly intent: Intent;
  readonly issues?: boolean;
  readonly steps: string;
  readonly ending: Ending;
}

const rotates = (title: string, steps: string, ending: Ending): Run => ({
  ...{ title, intent: 'rotate', steps, ending },
});
const issues = (title: string, steps: string, ending: Ending): Run => ({
  ...{ title, intent: 'rotate', issues: true, steps, ending },
});
const resumes = (title: string, steps: string, ending: Ending, made = false): Run => ({
  ...{ title, intent: 'resume', issues: made, steps, ending },
});
const undoes = (title: string, steps: string, ending: Ending, made = false): Run => ({
  ...{ title, intent: 'rollback', issues: made, steps, ending },
});

const RUNS: readonly Run[] = [
  rotates('all goes well', `${CLAIMED}, ${APPLIED}, ${PROMOTED}`, 'done'),
  rotates(
    'a target that can’t be asked',
    `${CLAIMED}, ${READ}, apply-new ok, verify-new unknown, ${PROMOTED}`,
    'done',
  ),
  rotates('tidying failed: it is current and accepted', `${PROMOTING}, promote ok, finish failed`, 'done'),

  // Before anything is stored, a failure changes nothing.
  rotates('the store can’t be read', 'look failed', 'unchanged'),
  rotates('somebody is at it', 'look held', 'held'),
  rotates('no value can be made', 'look none, prepare failed', 'unchanged'),
  rotates('the claim is refused', 'look none, prepare ok, claim failed', 'unchanged'),
  rotates('somebody was faster', 'look none, prepare ok, claim held', 'held'),
  rotates(
    'the claim’s answer is lost, it is ours',
    `look none, prepare ok, claim unclear, confirm-claim mine, ${APPLIED}, ${PROMOTED}`,
    'done',
  ),
  rotates(
    'the claim’s answer is lost, it is another’s',
    'look none, prepare ok, claim unclear, confirm-claim held',
    'held',
  ),
  rotates(
    'the claim’s answer is lost, it was not made',
    'look none, prepare ok, claim unclear, confirm-claim none',
    'unchanged',
  ),
  rotates(
    'whether it is claimed can’t be found out',
    'look none, prepare ok, claim unclear, confirm-claim failed',
    'stuck',
  ),

  // A first value that is current at once is told nobody, so there is nothing to apply.
  rotates(
    'a first value is current with its claim',
    'look none, prepare ok, claim promoted, finish ok',
    'done',
  ),
  rotates(
    'the answer about a first value is lost, and it is current',
    'look none, prepare ok, claim unclear, confirm-claim promoted, finish ok',
    'done',
  ),

  // Claimed: what fails is undone at once, or left for later where it may still be made.
  rotates('it was taken over before it was read back', `${CLAIMED}, read-back lost`, 'lost'),
  rotates('it can’t be read back', `${CLAIMED}, read-back failed`, 'stuck'),
  rotates('it was taken over before it was applied', `${CLAIMED}, ${READ}, apply-new lost`, 'lost'),
  rotates(
    'refused by the target',
    `${CLAIMED}, ${READ}, apply-new failed, verify-new refused, ${UNDONE}`,
    'undone',
  ),
  rotates(
    'failed at a target that can’t be asked',
    `${CLAIMED}, ${READ}, apply-new failed, verify-new unknown, ${UNDONE}`,
    'undone',
  ),
  rotates(
    'failed, though an earlier try was made',
    `${CLAIMED}, ${READ}, apply-new failed, verify-new accepted, ${PROMOTED}`,
    'done',
  ),
  rotates(
    'failed, and the target is away',
    `${CLAIMED}, ${READ}, apply-new failed, verify-new failed`,
    'stuck',
  ),
  rotates(
    'no answer, but made',
    `${CLAIMED}, ${READ}, apply-new unclear, verify-new accepted, ${PROMOTED}`,
    'done',
  ),
  rotates('no answer, not made yet', `${CLAIMED}, ${READ}, apply-new unclear, verify-new refused`, 'stuck'),
  rotates(
    'no answer of a target that can’t be asked',
    `${CLAIMED}, ${READ}, apply-new unclear, verify-new unknown`,
    'stuck',
  ),
  rotates(
    'no answer, and the target is away',
    `${CLAIMED}, ${READ}, apply-new unclear, verify-new failed`,
    'stuck',
  ),
  rotates(
    'taken without effect, as far as one sees: the old one is set again',
    `${CLAIMED}, ${READ}, apply-new ok, verify-new refused, ${RESTORED}`,
    'undone',
  ),
  rotates('applied, and the target is away', `${CLAIMED}, ${READ}, apply-new ok, verify-new failed`, 'stuck'),

  rotates('it was taken over before it was promoted', `${PROMOTING}, promote lost`, 'lost'),
  rotates('the promotion is refused', `${PROMOTING}, promote failed`, 'stuck'),
  rotates(
    'the promotion’s answer is lost, it was made',
    `${PROMOTING}, promote unclear, confirm-promotion promoted, finish ok`,
    'done',
  ),
  rotates(
    'the promotion’s answer is lost, it was not made',
    `${PROMOTING}, promote unclear, confirm-promotion mine, ${PROMOTED}`,
    'done',
  ),
  rotates(
    'the promotion’s answer is lost, and so is the claim',
    `${PROMOTING}, promote unclear, confirm-promotion lost`,
    'lost',
  ),
  rotates(
    'whether it is promoted can’t be found out',
    `${PROMOTING}, promote unclear, confirm-promotion failed`,
    'stuck',
  ),
  ...(['lost', 'failed', 'unclear'] as const).map((event) =>
    rotates(
      `the second promotion: ${event}`,
      `${PROMOTING}, promote unclear, confirm-promotion mine, promote ${event}`,
      event === 'lost' ? 'lost' : 'stuck',
    ),
  ),

  // A target that makes the credential.
  issues('all goes well', `${ISSUED}, store-issued ok, ${APPLIED}, ${PROMOTED}`, 'done'),
  issues('none is made', `${CLAIMED}, issue failed, ${UNDONE}`, 'undone'),
  issues('perhaps one is made', `${CLAIMED}, issue unclear`, 'stuck'),
  issues('it was taken over before', `${CLAIMED}, issue lost`, 'lost'),
  issues('it was taken over before it was stored', `${ISSUED}, store-issued lost`, 'lost'),
  issues('it can’t be stored', `${ISSUED}, store-issued failed`, 'stuck'),
  issues('perhaps it is stored', `${ISSUED}, store-issued unclear, ${APPLIED}, ${PROMOTED}`, 'done'),

  // Going on with what somebody left.
  ...(['accepted', 'unknown'] as const).map((verdict) =>
    resumes(
      `there is none, and the current one is ${verdict}`,
      `take-over none, verify-old ${verdict}`,
      'nothing',
    ),
  ),
  resumes('there is none, and the current one is refused', 'take-over none, verify-old refused', 'refused'),
  resumes('there is none, and the target is away', 'take-over none, verify-old failed', 'unchanged'),
  resumes('its holder is alive', 'take-over held', 'held'),
  resumes('it can’t be taken over', 'take-over failed', 'stuck'),
  ...(['accepted', 'unknown'] as const).map((verdict) =>
    resumes(
      `it was promoted, and is ${verdict}`,
      `take-over promoted, verify-old ${verdict}, discard ok, finish ok`,
      'done',
    ),
  ),
  resumes(
    'it was promoted, and something late has ended it',
    `take-over promoted, verify-old refused, ${APPLIED}, ${PROMOTED}`,
    'done',
  ),
  resumes('it was promoted, and the target is away', 'take-over promoted, verify-old failed', 'stuck'),
  resumes(
    'it was promoted, and somebody else tidies',
    'take-over promoted, verify-old accepted, discard lost',
    'lost',
  ),
  resumes(
    'it was promoted, and can’t be tidied',
    'take-over promoted, verify-old accepted, discard failed',
    'stuck',
  ),
  resumes('applied or not, it is applied again', `take-over ok, ${APPLIED}, ${PROMOTED}`, 'done'),
  resumes(
    'of a target that can’t be asked',
    `take-over ok, ${READ}, apply-new ok, verify-new unknown, ${PROMOTED}`,
    'done',
  ),
  resumes('the target is away', `take-over ok, ${READ}, apply-new failed, verify-new failed`, 'stuck'),
  resumes(
    'its value is refused: somebody has to decide',
    `take-over ok, ${READ}, apply-new failed, verify-new refused`,
    'stuck',
  ),
  resumes(
    'it can’t be set, and is accepted: an earlier change may yet replace it',
    `take-over ok, ${READ}, apply-new failed, verify-new accepted`,
    'stuck',
  ),
  resumes(
    'it is set without effect: somebody has to decide',
    `take-over ok, ${READ}, apply-new ok, verify-new refused`,
    'stuck',
  ),
  resumes(
    'its key was not stored',
    `take-over unissued, issue ok, store-issued ok, ${APPLIED}, ${PROMOTED}`,
    'done',
    true,
  ),

  undoes('applied or not, the old one is set', `take-over ok, ${RESTORED}`, 'undone'),
  undoes('its key was not stored', `take-over unissued, ${RESTORED}`, 'undone', true),
  undoes(
    'a target that can’t be asked',
    'take-over ok, apply-old ok, verify-old unknown, retire-new ok, discard ok',
    'undone',
  ),
  undoes('it was promoted', 'take-over promoted, verify-old accepted, discard ok, finish ok', 'done'),
  undoes('the old one is not taken back', 'take-over ok, apply-old failed', 'stuck'),
  undoes('it was taken over meanwhile', 'take-over ok, apply-old lost', 'lost'),
  undoes(
    'the old one is taken back without effect',
    'take-over ok, apply-old ok, verify-old refused',
    'stuck',
  ),
  undoes('the target goes away', 'take-over ok, apply-old ok, verify-old failed', 'stuck'),
  undoes(
    'the new one can’t be ended',
    'take-over ok, apply-old ok, verify-old accepted, retire-new failed',
    'stuck',
  ),
  undoes(
    'it was taken over before that',
    'take-over ok, apply-old ok, verify-old accepted, retire-new lost',
    'lost',
  ),
  undoes(
    'it was taken over at the end',
    'take-over ok, apply-old ok, verify-old accepted, retire-new ok, discard lost',
    'lost',
  ),
  undoes(
    'its value can’t be discarded',
    'take-over ok, apply-old ok, verify-old accepted, retire-new ok, discard failed',
    'stuck',
  ),
  // What fails before anything is sent needs no setting, and what was sent does.
  rotates(
    'nothing was sent, and the old one is refused all the same',
    `${CLAIMED}, ${READ}, apply-new failed, verify-new refused, verify-old refused, ${RESTORED}`,
    'undone',
  ),
  rotates(
    'nothing was sent, and the old one can’t be asked for',
    `${CLAIMED}, ${READ}, apply-new failed, verify-new unknown, verify-old unknown, ${RESTORED}`,
    'undone',
  ),
  rotates(
    'nothing was sent, and the target is away',
    `${CLAIMED}, ${READ}, apply-new failed, verify-new refused, verify-old failed`,
    'stuck',
  ),
  rotates(
    'the old one is set, and nobody can ask',
    `${CLAIMED}, ${READ}, apply-new ok, verify-new refused, apply-old ok, verify-old unknown, retire-new ok, discard ok`,
    'undone',
  ),
];

const passed = new Set<string>();

function goes({ intent, issues: made = false, steps }: Run): { taken: string; ending: string } {
  const plan = { intent, issues: made };
  let state = begin(plan);
  const taken: string[] = [];
  for (const step of steps.split(', ')) {
    if (isEnding(state)) break;
    const effect = effectOf(state);
    const [, event = ''] = step.split(' ');
    taken.push(`${effect} ${event}`);
    passed.add(`${state} ${event}`);
    state = next(plan, state as Working, event as Event);
  }
  return { taken: taken.join(', '), ending: state };
}

test.each(RUNS)('$intent: $title', (run) => {
  expect(goes(run)).toEqual({ taken: run.steps, ending: run.ending });
});

test('these are all transitions', () => {
  for (const run of RUNS) goes(run);
  const all = transitions()
    .filter(
      ({ from, on }) =>
        from !== '[*]' &&
        on !== '' &&
        !/^(claimed|tookOver|tookOverUnissued|acceptedAnyway|givenUp|notTaken)$/.test(from),
    )
    .map(({ from, on }) => `${from} ${on}`);
  expect(all.length).toBeGreaterThan(80);
  expect(all.filter((transition) => !passed.has(transition))).toEqual([]);
});
