/** Rules about variables: which values look like secrets, and which names change what programs do. */
const TOKEN =
  /AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}|gh[pousr]_\w{20}|glpat-|xox[abp]-|sk_live_|sk-\w{16}|hvs\.|AIza\w{20}|eyJ[\w-]{10,}\.|-----BEGIN|:\/\/[^/@\s:]*:[^/@\s]+@/;
const SECRET_NAME = /PASSW|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|(API|PRIVATE|ACCESS)_?KEY/i;
const LOADERS =
  /^(LD_.*|DYLD_.*|PATH|NODE_.*|BASH_ENV|ENV|IFS|PS4|SHELL|SHELLOPTS|PROMPT_COMMAND|PYTHON.*|PERL5.*|RUBY(OPT|LIB)|.*JAVA_(TOOL_)?OPTIONS|CLASSPATH|GIT_.*|(EDITOR|VISUAL|PAGER|BROWSER)|GCONV_PATH|SSL_CERT_(FILE|DIR)|.*_CA_BUNDLE|(HTTPS?|ALL|NO)_PROXY|HOME|XDG_.*|SECRETS_.*)$/i;

/** Whether a literal is, by its form or its variable's name, most likely a secret. */
export function looksSecret(name: string, value: string): boolean {
  if (TOKEN.test(value)) return true;
  if (SECRET_NAME.test(name) && value.length >= 6 && !/^(true|false|\d+)$/.test(value)) return true;
  return /^[\w+/=-]{24,}$/.test(value) && /\d/.test(value) && /[a-z]/.test(value) && /[A-Z]/.test(value);
}

/** Whether a variable of this name can make a program run code, or believe or reach another server. */
export function runsPrograms(name: string): boolean {
  return LOADERS.test(name);
}
