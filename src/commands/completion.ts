import { SecretsError } from '../core/errors.ts';
import type { Session } from '../session/session.ts';
import { rememberedNames } from './names-cache.ts';
import { commonOptions } from './common-options.ts';
import type { CommandModule, CommandSpec, Invocation, OptionSpec } from './command.ts';

type Commands = readonly CommandSpec[];

const writers: Readonly<Record<string, (commands: Commands) => string>> = { bash, zsh, fish };

/** The work, with the commands that are completed. */
export function completionOf(commands: Commands): CommandModule {
  return { run: (session, invocation) => run(commands, session, invocation) };
}

async function run(commands: Commands, session: Session, { args }: Invocation): Promise<void> {
  const [shell = ''] = args;
  if (shell === 'names') {
    await session.print(await names(session));
    return;
  }
  const write = Object.hasOwn(writers, shell) ? writers[shell] : undefined;
  if (write === undefined)
    throw new SecretsError('Usage', `no completion for ${JSON.stringify(shell)}`, {
      hint: 'bash, zsh or fish',
    });
  await session.print(write(commands));
}

/** What the scripts ask for at TAB: names from the cache, stores from the settings. No backend is asked. */
async function names(session: Session): Promise<string> {
  const { defaultStore, untrustedDefault, stores } = await session.config();
  const lines = untrustedDefault === undefined ? rememberedNames(session.world, defaultStore) : [];
  for (const store of stores.keys()) {
    lines.push(...rememberedNames(session.world, store).map((name) => `${store}://${name}`), `${store}://`);
  }
  // A name that a shell would read as more than a word is left to be typed.
  return lines
    .filter((line) => /^[\w./:@=+-]+$/.test(line))
    .map((line) => `${line}\n`)
    .join('');
}

interface Flag {
  readonly long: string;
  readonly short: string | undefined;
  readonly takesValue: boolean;
  readonly option: OptionSpec;
}

function flagsOf(spec: CommandSpec): Flag[] {
  return [...(spec.options ?? []), ...commonOptions].map((option) => ({
    long: /--[a-z-]+/.exec(option.flags)?.[0] ?? '',
    short: /^-(\w),/.exec(option.flags)?.[1],
    takesValue: option.flags.includes('<'),
    option,
  }));
}

function wordsOf(spec: CommandSpec): string {
  const flags = flagsOf(spec).flatMap(({ long, short }) =>
    short === undefined ? [long] : [long, `-${short}`],
  );
  return [
    ...flags,
    '--help',
    ...(spec.subcommands ?? []).filter(({ hidden }) => hidden !== true).map(({ name }) => name),
  ].join(' ');
}

function cases(commands: Commands, indent: string): string {
  return commands
    .map((spec) => {
      const patterns = [spec.name, ...(spec.aliases ?? [])].join('|');
      const refs = spec.completes === 'reference' || spec.passThrough === true ? '1' : '';
      const words = spec.name === 'completion' ? `bash zsh fish ${wordsOf(spec)}` : wordsOf(spec);
      return `${indent}${patterns}) words='${words}' refs='${refs}' ;;`;
    })
    .join('\n');
}

function commandWords(commands: Commands): string {
  return commands.flatMap(({ name, aliases }) => [name, ...(aliases ?? [])]).join(' ');
}

function bash(commands: Commands): string {
  return `# bash completion for secrets
_secrets() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" words='' refs='' i
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${commandWords(commands)} help --help --version' -- "$cur"))
    return
  fi
  # What follows -- belongs to the program that exec runs.
  for ((i = 2; i < COMP_CWORD; i++)); do
    if [ "\${COMP_WORDS[i]}" = -- ]; then
      COMPREPLY=($(compgen -c -- "$cur"))
      return
    fi
  done
  case "\${COMP_WORDS[1]}" in
${cases(commands, '    ')}
  esac
  case "\${COMP_WORDS[COMP_CWORD-1]}" in
    --out|-o|--from-file|-f|--config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
  esac
  # bash breaks words at colons: STORE://NAME arrives in parts.
  if [ -n "$refs" ] && [[ "$cur" != -* ]]; then
    local line="\${COMP_LINE:0:COMP_POINT}" whole
    whole="\${line##* }"
    local cut="\${whole%"$cur"}"
    COMPREPLY=($(compgen -W "$(secrets completion names 2>/dev/null)" -- "$whole"))
    COMPREPLY=("\${COMPREPLY[@]#"$cut"}")
    return
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _secrets secrets
`;
}

function zsh(commands: Commands): string {
  return `#compdef secrets
# zsh completion for secrets
_secrets() {
  local words_='' refs='' i
  if (( CURRENT == 2 )); then
    compadd -- ${commandWords(commands)} help --help --version
    return
  fi
  for (( i = 3; i < CURRENT; i++ )); do
    if [[ "\${words[i]}" == -- ]]; then
      _command_names -e
      return
    fi
  done
  case "\${words[2]}" in
${cases(commands, '    ').replaceAll("words='", "words_='")}
  esac
  case "\${words[CURRENT-1]}" in
    --out|-o|--from-file|-f|--config) _files; return ;;
  esac
  if [[ -n "$refs" && "\${words[CURRENT]}" != -* ]]; then
    compadd -- \${(f)"$(secrets completion names 2>/dev/null)"}
    return
  fi
  compadd -- \${=words_}
}
if [[ "\${funcstack[1]}" == _secrets ]]; then _secrets "$@"; else compdef _secrets secrets; fi
`;
}

function fish(commands: Commands): string {
  const lines = ['# fish completion for secrets', 'complete -c secrets -f'];
  for (const spec of commands) {
    for (const name of [spec.name, ...(spec.aliases ?? [])]) {
      lines.push(`complete -c secrets -n __fish_use_subcommand -a ${name} -d ${quote(spec.summary)}`);
      const when = `-n '__fish_seen_subcommand_from ${name}'`;
      if (spec.completes === 'reference')
        lines.push(`complete -c secrets ${when} -a '(secrets completion names 2>/dev/null)'`);
      for (const { name: verb, summary } of spec.subcommands ?? []) {
        lines.push(`complete -c secrets ${when} -a ${verb} -d ${quote(summary)}`);
      }
      if (spec.name === 'completion') lines.push(`complete -c secrets ${when} -a 'bash zsh fish'`);
      for (const { long, short, takesValue, option } of flagsOf(spec)) {
        const value = !takesValue
          ? ''
          : option.choices === undefined
            ? ' -r -F'
            : ` -x -a ${quote(option.choices.join(' '))}`;
        const brief = short === undefined ? '' : ` -s ${short}`;
        lines.push(
          `complete -c secrets ${when} -l ${long.slice(2)}${brief}${value} -d ${quote(option.description)}`,
        );
      }
    }
  }
  return `${lines.join('\n')}\n`;
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
