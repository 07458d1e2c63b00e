# Runs in a network of its own, where no request leaves the machine: LocalStack, `secrets`, and a stack whose
# parameters are references that `secrets reference` printed. Prints what CloudFormation resolved, as JSON.
# $1: the folder of LocalStack's environment.
set -euo pipefail
ip link set lo up
export AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
GATEWAY_SERVER=hypercorn DNS_ADDRESS=0 USE_SSL=0 SERVICES=secretsmanager,ssm,sts,iam,cloudformation \
  SKIP_SSL_CERT_DOWNLOAD=1 DISABLE_EVENTS=1 "$1/bin/python" -m localstack.runtime.main >localstack.log 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
for _ in $(seq 600); do
  curl -sf $AWS_ENDPOINT_URL/_localstack/health >/dev/null && break
  kill -0 $server || { tail -5 localstack.log >&2; exit 1; }
  sleep 0.2
done
# It loads a service when that is first asked for, which takes a while on a busy machine.
"$1/bin/aws" --cli-read-timeout 180 secretsmanager list-secrets >/dev/null
printf '{"user":"app","password":"first-value"}' | secrets put --quiet aws://payments/db
version=$(secrets get --metadata aws://payments/db | sed -n 's/.*"currentVersion": *"\([^"]*\)".*/\1/p')
printf '{"user":"app","password":"second-value"}' | secrets put --quiet aws://payments/db
parameter() {
  printf '"%s":{"Type":"AWS::SSM::Parameter","Properties":{"Name":"/test/%s","Type":"String","Value":"%s"}}' \
    "$1" "$1" "$(secrets reference "aws://payments/db$2" --for cloudformation --check)"
}
printf '{"Resources":{%s,%s,%s}}' "$(parameter Key '#password')" "$(parameter Previous '?stage=previous#password')" \
  "$(parameter Version "?version=$version#user")" >template.json
"$1/bin/aws" --cli-read-timeout 180 cloudformation create-stack --stack-name test --template-body file://template.json >/dev/null
"$1/bin/aws" cloudformation wait stack-create-complete --stack-name test
"$1/bin/aws" ssm get-parameters --names /test/Key /test/Previous /test/Version --query 'Parameters[].[Name,Value]'
