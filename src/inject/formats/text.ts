import { type Lexer, type Place, place } from './lexer.ts';

/** Writes every value as it is, bytes that aren't text too. */
export const RAW = place('raw', (value) => value, { literal: true });

export class TextLexer implements Lexer {
  feed(): undefined {}

  place(): Place {
    return RAW;
  }

  end(): undefined {}
}
