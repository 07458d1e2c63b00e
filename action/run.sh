#!/usr/bin/env bash
# The work of action.yml. Credentials live in this process and in a private folder that is removed at its end: later
# steps of the job get the variables that were asked for, and nothing else.
set -euo pipefail

fail() {
  printf '::error::%s\n' "$1"
  exit 2
}

program=$INPUT_PROGRAM
command -v -- "$program" >/dev/null || fail 'the secrets program is not installed: docs/ci.md shows how'
# What a step is to do is said, so that an input that is empty by mistake gives the secrets to nobody.
modes=0
[[ -z $INPUT_RUN ]] || modes=$((modes + 1))
[[ -z $INPUT_TEMPLATE ]] || modes=$((modes + 1))
case $INPUT_EXPORT in
  true) modes=$((modes + 1)) ;;
  false | '') ;;
  *) fail 'export is true or false' ;;
esac
((modes > 0)) || fail 'nothing to do: give run, template or export: true'
((modes == 1)) || fail 'run, template and export are steps of their own: use the action once for each'
[[ -z $INPUT_TEMPLATE || -n $INPUT_OUTPUT ]] || fail 'template needs output'
[[ -n $INPUT_TEMPLATE || -z $INPUT_OUTPUT ]] || fail 'output needs template'
[[ -z $INPUT_TEMPLATE || -z $INPUT_ENV ]] || fail 'env is for run and export: a template names its secrets itself'

private=$(mktemp -d "${RUNNER_TEMP:?}/secrets.XXXXXXXX")
trap 'rm -rf -- "$private"' EXIT

# id_token AUDIENCE FILE
id_token() {
  node "${BASH_SOURCE[0]%/*}/id-token.mjs" "$1" "$2"
}

# What another step has left in the job's variables would be used first.
if [[ -n $INPUT_AWS_ROLE ]]; then
  unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE AWS_DEFAULT_PROFILE
  id_token sts.amazonaws.com "$private/aws"
  export AWS_ROLE_ARN=$INPUT_AWS_ROLE AWS_WEB_IDENTITY_TOKEN_FILE=$private/aws
fi
[[ -z $INPUT_AWS_REGION ]] || export AWS_REGION=$INPUT_AWS_REGION
if [[ -n $INPUT_AZURE_CLIENT_ID ]]; then
  id_token api://AzureADTokenExchange "$private/azure"
  unset AZURE_CLIENT_SECRET AZURE_CLIENT_CERTIFICATE_PATH AZURE_CLIENT_CERTIFICATE_PASSWORD
  unset AZURE_USERNAME AZURE_PASSWORD AZURE_ACCESS_TOKEN
  export AZURE_CLIENT_ID=$INPUT_AZURE_CLIENT_ID AZURE_TENANT_ID=$INPUT_AZURE_TENANT_ID
  export AZURE_FEDERATED_TOKEN_FILE=$private/azure
fi
if [[ -n $INPUT_GCP_PROVIDER ]]; then
  id_token "https://iam.googleapis.com/$INPUT_GCP_PROVIDER" "$private/gcp"
  node "${BASH_SOURCE[0]%/*}/gcp-credentials.mjs" \
    "$INPUT_GCP_PROVIDER" "$INPUT_GCP_SERVICE_ACCOUNT" "$private/gcp" "$private/gcp.json"
  unset GOOGLE_CREDENTIALS GOOGLE_OAUTH_ACCESS_TOKEN CLOUDSDK_AUTH_ACCESS_TOKEN CLOUDSDK_AUTH_ACCESS_TOKEN_FILE
  unset CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE
  export GOOGLE_APPLICATION_CREDENTIALS=$private/gcp.json
fi
if [[ -n $INPUT_VAULT_AUDIENCE ]]; then
  id_token "$INPUT_VAULT_AUDIENCE" "$private/vault"
  unset VAULT_TOKEN BAO_TOKEN VAULT_ROLE_ID VAULT_SECRET_ID VAULT_PASSWORD
  VAULT_JWT=$(<"$private/vault")
  export VAULT_JWT
fi
# Whoever has these gets a token for any audience, and signs in as this job.
unset ACTIONS_ID_TOKEN_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN

[[ -z $INPUT_TRUSTED ]] || export SECRETS_TRUSTED=$INPUT_TRUSTED
# The runner reads the stderr of a step, which is the stderr of this script.
options=(--mask-on-stderr)
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
  "$program" exec "${options[@]}" ${variables[@]+"${variables[@]}"} --redact -- \
    bash --noprofile --norc -eo pipefail -c "$script"
elif [[ -n $template ]]; then
  "$program" inject "${options[@]}" -i "$template" -o "$output"
else
  # All or nothing: the file of the runner gets no half of it.
  "$program" env "${options[@]}" ${variables[@]+"${variables[@]}"} --format github >"$private/env"
  cat -- "$private/env" >>"$GITHUB_ENV"
fi
