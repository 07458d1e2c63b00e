/**
 * An anchor: a checkpoint kept where someone who can write the log can't change it. It is the checkpoint's own line.
 */
import { parseItem } from '../../core/audit/line.ts';
import type { Known } from '../../core/audit/problems.ts';
import { SecretsError } from '../../core/errors.ts';

/**
 * Parses anchors from a text: one JSON document, or JSON lines.
 * @param name what messages call it
 * @throws SecretsError Invalid if it isn't an anchor, Integrity if it was changed
 */
export function parseAnchors(text: string, name: string): readonly Known[] {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (lines.length === 0) throw noAnchor(name);
  return lines.map((line) => {
    const { record, claimed, seq, sound } = parseItem(line, { file: name, line: 1 });
    if (record?.kind !== 'checkpoint' || claimed === undefined || seq === undefined) throw noAnchor(name);
    if (!sound) {
      throw new SecretsError('Integrity', `the anchor was changed or is incomplete: ${name}`, {
        hint: 'use the exact output of secrets audit anchor',
      });
    }
    return { seq, hash: claimed, from: `the anchor ${name}` };
  });
}

function noAnchor(name: string): SecretsError {
  return new SecretsError('Invalid', `not an anchor: ${name}`, {
    hint: 'use the output of secrets audit anchor',
  });
}
