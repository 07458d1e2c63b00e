/**
 * Scans the tokens of a YAML text before the parser does. The parser recurses, and a few thousand levels end the
 * process without any `catch`; it also keeps an object for each token, and an error for each wrong one.
 */
import { CST, Lexer } from 'yaml';

export interface TokenRules {
  readonly maxDepth: number;
  readonly maxTokens: number;
  readonly refuse: (line: number, why: string) => never;
  /** Called with the type of each token, as the library names them: `anchor`, `alias`, `tag`, `directive-line`, … */
  readonly refuseType?: (line: number, type: string) => void;
}

/** Calls `refuse` for nesting that is too deep, unbalanced brackets, and too many tokens. */
export function checkTokens(text: string, { maxDepth, maxTokens, refuse, refuseType }: TokenRules): void {
  let line = 1;
  let count = 0;
  let flow = 0;
  let marks = 0;
  let lineStart = true;
  let source = false;
  let indents: number[] = [];
  for (const token of new Lexer().lex(text)) {
    count += 1;
    if (count > maxTokens) refuse(line, 'too long to be read safely');
    // What follows a scalar's marker is its text, whatever it looks like.
    const type: string | null = source ? 'source' : CST.tokenType(token);
    source = type === 'scalar';
    if (type !== null) refuseType?.(line, type);
    if (lineStart && flow === 0 && type !== 'newline' && type !== 'comment') {
      const indent = type === 'space' ? token.length : 0;
      indents = indents.filter((outer) => outer < indent);
      if (indent > 0) indents.push(indent);
    }
    if (type === 'flow-seq-start' || type === 'flow-map-start') flow += 1;
    else if (type === 'flow-seq-end' || type === 'flow-map-end') flow -= 1;
    else if (
      flow === 0 &&
      (type === 'seq-item-ind' || type === 'explicit-key-ind' || type === 'map-value-ind')
    )
      marks += 1;
    if (flow < 0 || type === 'flow-error-end') refuse(line, 'an unmatched bracket');
    if (flow + marks + indents.length > maxDepth) refuse(line, `nested more than ${maxDepth} levels deep`);
    const breaks = token.split('\n').length - 1;
    line += breaks;
    lineStart = breaks > 0 && token.endsWith('\n');
    if (breaks > 0) marks = 0;
  }
}
