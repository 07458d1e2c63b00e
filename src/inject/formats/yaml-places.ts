/** How a value is written in each kind of YAML scalar. */
import { yamlString } from '../../core/environment/formats.ts';
import { checkNo, OTHER_FORM, type Place, place } from './lexer.ts';

export const WHOLE = place('yaml', yamlString, { literal: true, whole: true });

/** White space at an end would be folded away at the border of a line. */
export const IN_DOUBLE = place('yaml double', (value) =>
  yamlString(value)
    .slice(1, -1)
    .replace(/^ +| +$/g, (spaces) => '\\x20'.repeat(spaces.length)),
);

/** YAML 1.2 §5.1: what isn't printable, and what some readers take for a line break. */
const UNPRINTABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/;
const DOUBLE_QUOTES = 'put the placeholder in double quotes';

export const IN_SINGLE = place('yaml single', (value) => {
  checkNo(value, /[\n\r]/, 'a line break, which single quotes fold', DOUBLE_QUOTES);
  checkNo(value, UNPRINTABLE, 'a character that needs an escape', DOUBLE_QUOTES);
  return value.replaceAll("'", "''");
});

/**
 * In a block scalar: each line gets the block's indentation.
 * @param first whether the value starts its line
 */
export function inBlock(style: '|' | '>', indent: number, first: boolean): Place {
  return place(`yaml ${style}${indent}${first ? ' first' : ''}`, (value) => {
    checkNo(value, UNPRINTABLE, 'a character that needs an escape', `${DOUBLE_QUOTES}, or ${OTHER_FORM}`);
    if (first)
      checkNo(
        value,
        /^\n*[ \t]/,
        'white space at its start, which would change the indentation',
        DOUBLE_QUOTES,
      );
    if (style === '>') checkNo(value, /\n/, 'a line break, which > folds', 'use | instead of >');
    // What follows the value in its last line is indented too.
    return value.replace(/\n(?!\n)/g, `\n${' '.repeat(indent)}`);
  });
}
