# Writes each value as bash and the tools of a Linux system do. In: a value in base64 a line. Out: the name of an
# encoder and what it made, in base64. A shell's variable holds no byte 0: the values have none.
show() { printf '%s\t%s\n' "$1" "$(base64 -w0)"; }
while read -r line; do
  IFS= read -r -d '' value < <(base64 -d <<< "$line")
  printf %q "$value" | show '%q'
  printf %s "${value@Q}" | show '@Q'
  printf %s "${value@A}" | show '@A'
  printf %s "${value@E}" > /dev/null
  { set -x; : "$value"; } 2> "$TRACE"; { set +x; } 2> /dev/null
  show xtrace < "$TRACE"
  declare -p value | show 'declare -p'
  /usr/bin/printf %q "$value" | show 'coreutils %q'
  printf %s "$value" | od -An -tx1 | show od
  printf %s "$value" | od -An -tu1 | show 'od -tu1'
  printf %s "$value" | base64 | show base64
  printf 'Authorization: Basic %s' "user:$value:more" | base64 -w 20 | show 'base64 -w 20'
  printf %s "$value" | sed 's/.*/&/' | show sed
  printf %s "$value" | sed -n l | show 'sed -n l'
  printf %s "$value" | cat -v | show 'cat -v'
done
