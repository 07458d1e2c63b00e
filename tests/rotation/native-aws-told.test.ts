/** Who is told what of rotations that AWS makes, and what the audit log has of them. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { accessesIn, logOf, shortOf } from '../audit/program.ts';
import { scenarioFiles } from '../backends/aws.ts';
import { describeWith } from '../backends/server.ts';
import { ROOT } from '../e2e/program.ts';
import { FAILS, ROTATES, SILENT, SLOW, useAws } from './native-aws-kit.ts';
import type { Json } from './native-kit.ts';

const ajv = new Ajv2020({ allErrors: true, strict: true });
addFormats.default(ajv);
const validate = ajv.compile(
  JSON.parse(readFileSync(join(ROOT, 'schemas/rotation-notification.schema.json'), 'utf8')) as object,
);

describeWith('rotations by aws', scenarioFiles, () => {
  const runs = useAws();
  const { policies, sh, ok, json } = runs;
  const delivered = [{ to: './told', delivered: true, attempts: 1 }];
  const file = (): string => join(runs.place.cwd, 'told.in');

  /** A secret with a policy for this function, and a receiver that keeps all that it reads. */
  const prepare = async (name: string, lambda: string): Promise<void> => {
    writeFileSync(join(runs.place.cwd, 'told'), '#!/bin/sh\ncat >> told.in\necho >> told.in\n', {
      mode: 0o755,
    });
    policies({ notify: './told', [`aws://${name}`]: { every: '30d', native: { function: lambda } } });
    await ok(`printf first | secrets put --quiet aws://${name}`);
  };
  /** What was told since the last time. */
  const told = (): readonly Json[] => {
    if (!existsSync(file())) return [];
    const documents = readFileSync(file(), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Json);
    writeFileSync(file(), '');
    for (const document of documents) {
      void validate(document);
      expect({ document, errors: validate.errors }).toEqual({ document, errors: null });
    }
    return documents;
  };
  const rotateRecords = (): readonly string[] =>
    accessesIn(logOf(runs.place))
      .filter(({ action }) => action === 'rotate')
      .map(shortOf);

  test('one that is done', async () => {
    await prepare('told-done', ROTATES);
    const { version: before } = JSON.parse(await ok('secrets get --json aws://told-done')) as Json;
    const line = await json('secrets rotate aws://told-done --json');
    expect(line).toMatchObject({ code: 0, outcome: 'done', notified: delivered });
    expect(told()).toEqual([
      {
        version: 1,
        type: 'secrets.rotation',
        id: expect.any(String) as string,
        reference: 'aws://told-done',
        intent: 'rotate',
        outcome: 'done',
        ok: true,
        by: 'aws lambda rotates',
        versions: { before, after: line['version'] },
        user: expect.any(String) as string,
        host: expect.any(String) as string,
        startedAt: expect.any(String) as string,
        endedAt: expect.any(String) as string,
      },
    ]);
    // That it was begun, and what it came to.
    expect(rotateRecords()).toEqual(['rotate aws://told-done allowed', 'rotate aws://told-done allowed']);
    expect(accessesIn(logOf(runs.place)).findLast(({ action }) => action === 'rotate')).toMatchObject({
      version: line['version'],
    });
  });

  test('one that fails, in the service’s words, and one that finds it in its way', async () => {
    await prepare('told-fails', FAILS);
    expect(await json('secrets rotate aws://told-fails --json')).toMatchObject({
      code: 1,
      outcome: 'failed',
      notified: delivered,
    });
    expect(told()).toEqual([
      expect.objectContaining({
        outcome: 'failed',
        ok: false,
        by: 'aws lambda fails',
        error: expect.objectContaining({
          kind: 'Failed',
          exitCode: 1,
          message: expect.stringMatching(/the database refuses the new password/) as string,
        }) as object,
      }),
    ]);
    expect(rotateRecords()).toEqual([
      'rotate aws://told-fails allowed',
      'rotate aws://told-fails failed Failed',
    ]);
    expect(await json('secrets rotate aws://told-fails --json')).toMatchObject({
      code: 5,
      outcome: 'held',
      notified: delivered,
    });
    expect(told()).toEqual([
      expect.objectContaining({
        outcome: 'held',
        ok: false,
        holder: { since: expect.any(String) as string },
        error: expect.objectContaining({ kind: 'Conflict' }) as object,
      }),
    ]);
  });

  test('one that is begun and not waited for, and the same one when it is resumed', async () => {
    await prepare('told-slow', SLOW);
    expect(await json('secrets rotate aws://told-slow --wait 0 --json')).toMatchObject({
      code: 0,
      outcome: 'started',
      notified: delivered,
    });
    expect(told()).toEqual([
      expect.objectContaining({ intent: 'rotate', outcome: 'started', ok: true, by: 'aws lambda slow' }),
    ]);
    expect(rotateRecords()).toEqual(['rotate aws://told-slow allowed']);

    const waited = await json('secrets rotate resume aws://told-slow --wait 1s --json');
    expect(waited).toMatchObject({ code: 6, outcome: 'started', notified: delivered });
    expect(told()).toEqual([
      expect.objectContaining({
        intent: 'resume',
        outcome: 'started',
        ok: false,
        error: expect.objectContaining({
          message: expect.stringMatching(/begun, and not done/) as string,
        }) as object,
      }),
    ]);
    expect(rotateRecords().slice(1)).toEqual(['rotate aws://told-slow failed Unavailable']);
    runs.release();
    const done = await json('secrets rotate resume aws://told-slow --json');
    // It may have ended before it was looked at.
    expect(['done', 'nothing']).toContain(done['outcome']);
    expect(done).toMatchObject({ code: 0, notified: delivered });
    expect(told()).toEqual([
      expect.objectContaining({ intent: 'resume', outcome: done['outcome'], ok: true }),
    ]);
    expect(rotateRecords().slice(2)).toEqual(['rotate aws://told-slow allowed']);
  });

  test('not of settings, plans, and what is not due', async () => {
    await prepare('told-set', ROTATES);
    for (const line of [
      'rotate aws://told-set --dry-run --json',
      'rotate aws://told-set --configure --json',
      'rotate --configure --json',
      'rotate resume aws://told-set --dry-run --json',
    ])
      expect(await json(`secrets ${line}`)).not.toHaveProperty('notified');
    expect(await sh('secrets rotate aws://nothing-there --configure --json')).toMatchObject({ code: 2 });
    expect(rotateRecords()).toEqual([]);
    await ok('secrets rotate aws://told-set');
    expect(told()).toHaveLength(1);
    await ok('secrets rotate --due --json');
    expect(told()).toEqual([]);
  });

  test('a receiver that can’t be told changes no outcome and no exit code', async () => {
    await prepare('told-not', ROTATES);
    writeFileSync(join(runs.place.cwd, 'told'), '#!/bin/sh\nexit 3\n');
    expect(await json('secrets rotate aws://told-not --json')).toMatchObject({
      code: 0,
      outcome: 'done',
      notified: [{ to: './told', delivered: false, attempts: 1, error: 'it ended with 3' }],
    });
  });

  test('one that its policy, or a right, does not allow is told as unchanged', async () => {
    await prepare('told-denied', SILENT);
    runs.env = runs.aws.nobody;
    expect(await json('secrets rotate aws://told-denied --json')).toMatchObject({
      code: 4,
      outcome: 'unchanged',
      notified: delivered,
    });
    expect(told()).toEqual([
      expect.objectContaining({
        outcome: 'unchanged',
        error: expect.objectContaining({ kind: 'Denied' }) as object,
      }),
    ]);
    expect(rotateRecords()).toEqual(['rotate aws://told-denied denied Denied']);
  });
});
