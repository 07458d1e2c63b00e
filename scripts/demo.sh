#!/bin/sh
# The main job on the local store, in a HOME of its own that is removed afterwards: nothing of yours is touched.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
HOME=$(mktemp -d)
export HOME PATH="$root/bin:$PATH"
unset XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_CACHE_HOME SECRETS_CONFIG SECRETS_PROFILE
trap 'rm -rf "$HOME"' EXIT
cd "$HOME"
# Leaves the key chain of the machine alone.
export SECRETS_LOCAL_KEY_METHOD=key-file

show() { printf '\n$ %s\n' "$1"; sh -c "$1"; }

show "secrets generate alnum:24 | secrets put demo/db#password"
show "printf app | secrets put demo/db#user"
show "secrets list"
show "secrets get demo/db#user --newline"
show "secrets exec --from demo/db --prefix DB_ -- sh -c 'echo \"\$DB_USER logs in with \${#DB_PASSWORD} characters\"'"
