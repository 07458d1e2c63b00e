#!/usr/bin/env bash
# The work of action.yml. Credentials live in this process and in a private folder that is removed at its end: later
# steps of the job get the variables that were asked for, and nothing else.
set -euo pipefail
umask 077

fail() {
  printf '::error::%s\n' "$1"
  exit 2
}

program=$INPUT_PROGRAM
command -v -- "$program" >/dev/null || fail 'the secrets program is not installed: docs/ci.md shows how'
[[ -z $INPUT_RUN || -z $INPUT_TEMPLATE ]] || fail 'run and template are two steps: use the action twice'
[[ -z $INPUT_TEMPLATE || -n $INPUT_OUTPUT ]] || fail 'template needs output'

private=$(mktemp -d "${RUNNER_TEMP:?}/secrets.XXXXXXXX")
trap 'rm -rf -- "$private"' EXIT

# id_token AUDIENCE FILE
id_token() {
  node "${BASH_SOURCE[0]%/*}/id-token.mjs" "$1" "$2"
}

if [[ -n $INPUT_AWS_ROLE ]]; then
  id_token sts.amazonaws.com "$private/aws"
  export AWS_ROLE_ARN=$INPUT_AWS_ROLE AWS_WEB_IDENTITY_TOKEN_FILE=$private/aws
fi
[[ -z $INPUT_AWS_REGION ]] || export AWS_REGION=$INPUT_AWS_REGION
if [[ -n $INPUT_AZURE_CLIENT_ID ]]; then
  id_token api://AzureADTokenExchange "$private/azure"
  export AZURE_CLIENT_ID=$INPUT_AZURE_CLIENT_ID AZURE_TENANT_ID=$INPUT_AZURE_TENANT_ID
  export AZURE_FEDERATED_TOKEN_FILE=$private/azure
fi
if [[ -n $INPUT_GCP_PROVIDER ]]; then
  id_token "https://iam.googleapis.com/$INPUT_GCP_PROVIDER" "$private/gcp"
  node "${BASH_SOURCE[0]%/*}/gcp-credentials.mjs" \
    "$INPUT_GCP_PROVIDER" "$INPUT_GCP_SERVICE_ACCOUNT" "$private/gcp" "$private/gcp.json"
  export GOOGLE_APPLICATION_CREDENTIALS=$private/gcp.json
fi
if [[ -n $INPUT_VAULT_AUDIENCE ]]; then
  id_token "$INPUT_VAULT_AUDIENCE" "$private/vault"
  VAULT_JWT=$(<"$private/vault")
  export VAULT_JWT
fi

[[ -z $INPUT_TRUSTED ]] || export SECRETS_TRUSTED=$INPUT_TRUSTED
options=()
[[ -z $INPUT_PROFILE ]] || options+=(--profile "$INPUT_PROFILE")
variables=()
while IFS= read -r line; do
  line=${line#"${line%%[![:space:]]*}"}
  line=${line%"${line##*[![:space:]]}"}
  [[ -z $line || $line == \#* ]] || variables+=(-e "$line")
done <<<"$INPUT_ENV"

script=$INPUT_RUN template=$INPUT_TEMPLATE output=$INPUT_OUTPUT
unset "${!INPUT_@}"
if [[ -n $script ]]; then
  "$program" exec ${options[@]+"${options[@]}"} ${variables[@]+"${variables[@]}"} --redact -- \
    bash --noprofile --norc -eo pipefail -c "$script"
elif [[ -n $template ]]; then
  "$program" inject ${options[@]+"${options[@]}"} -i "$template" -o "$output"
else
  # All or nothing: the file of the runner gets no half of it.
  "$program" env ${options[@]+"${options[@]}"} ${variables[@]+"${variables[@]}"} --format github >"$private/env"
  cat -- "$private/env" >>"$GITHUB_ENV"
fi
