"""Who may do what, as AWS decides it: moto mistakes a condition that is not met for a denial, knows no NotResource, takes
`?` for itself, and ignores the policies of secrets.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

import datetime
import fnmatch
import json
import re

from moto.core import exceptions
from moto.core.responses import ActionResult
from moto.iam import access_control
from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse
from moto.secretsmanager import models, responses


def as_list(value):
    return value if isinstance(value, list) else [value]


def fits(pattern, text):
    # fnmatch has brackets, policies do not.
    return re.match(fnmatch.translate(pattern.replace("[", "[[]")), text) is not None


def applies(statement, action, resource, caller):
    """Whether a statement is about this request; `caller` is given for the policy of a secret."""
    if "NotAction" in statement:
        if any(fits(one.lower(), action.lower()) for one in as_list(statement["NotAction"])):
            return False
    elif not any(fits(one.lower(), action.lower()) for one in as_list(statement.get("Action", []))):
        return False
    if "NotResource" in statement:
        if any(fits(one, resource) for one in as_list(statement["NotResource"])):
            return False
    elif not any(fits(one, resource) for one in as_list(statement.get("Resource", [] if caller is None else "*"))):
        return False
    if caller is not None and not names(statement, caller):
        return False
    return met(statement.get("Condition", {}))


def names(statement, caller):
    given = statement.get("Principal")
    if given == "*":
        return True
    for one in as_list((given or {}).get("AWS", [])):
        if one in ("*", *caller["arns"]):
            return True
        # An account leaves what is allowed to its own policies, and what is denied is denied to all of it.
        is_account = one == caller["account"] or one.endswith(f":iam::{caller['account']}:root")
        if is_account and statement["Effect"] == "Deny":
            return True
    return False


def met(conditions):
    """Only what the tests use: the time, and the principal's name, which an answer from afar does not know."""
    now = datetime.datetime.now(datetime.timezone.utc)
    for operator, keys in conditions.items():
        for key, values in keys.items():
            if key.lower() != "aws:currenttime":
                return False
            times = [datetime.datetime.fromisoformat(one.replace("Z", "+00:00")) for one in as_list(values)]
            compare = {"DateLessThan": now.__lt__, "DateGreaterThan": now.__gt__}[operator]
            if not any(compare(time) for time in times):
                return False
    return True


def text_of(policy):
    if isinstance(policy, str):
        return policy
    if isinstance(policy, dict):
        return policy["policy_document"]
    return next(version.document for version in policy.versions if version.is_default)


def decision(documents, action, resource):
    """`documents`: pairs of a policy's text, and the caller for the policy of a secret."""
    allowed = False
    for text, caller in documents:
        for statement in as_list(json.loads(text).get("Statement", [])):
            if not applies(statement, action, resource, caller):
                continue
            if statement["Effect"] == "Deny":
                return "explicitDeny"
            allowed = True
    return "allowed" if allowed else "implicitDeny"


def secret_by_arn(account, arn):
    region = arn.split(":")[3] if arn.startswith("arn:") else None
    secrets = models.secretsmanager_backends[account][region].secrets.values() if region else []
    return next((one for one in secrets if one.arn == arn), None)


def decide_as_aws():
    base = access_control.IAMRequestBase
    original = base.check_action_permitted

    def check(self, resource):
        if not self._action.startswith(("secretsmanager:", "iam:")):
            return original(self, resource)
        documents = [(text_of(one), None) for one in self._access_key.collect_policies()]
        secret = secret_by_arn(self.account_id, resource)
        if secret is not None and getattr(secret, "policy", None):
            arn = self._access_key.arn
            role = re.sub(r":sts:(.*):assumed-role/([^/]+)/.*", r":iam:\1:role/\2", arn)
            documents.append((secret.policy, {"arns": (arn, role), "account": self.account_id}))
        if decision(documents, self._action, resource) != "allowed":
            self._raise_access_denied()

    base.check_action_permitted = check


def simulate_principal_policy(self):
    """The policies of the principal alone, as https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html"""
    arn = self._get_param("PolicySourceArn")
    kind, name = arn.split(":")[5].split("/")[0], arn.split("/")[-1]
    if kind == "user":
        key = access_control.IAMUserAccessKey.__new__(access_control.IAMUserAccessKey)
        key._owner_user_name = name
    else:
        key = access_control.AssumedRoleAccessKey.__new__(access_control.AssumedRoleAccessKey)
        key._owner_role_name = name
    key.account_id, key.partition = self.current_account, self.partition
    documents = [(text_of(one), None) for one in key.collect_policies()]
    results, missing = [], []
    for text, _ in documents:
        for statement in as_list(json.loads(text).get("Statement", [])):
            for keys in statement.get("Condition", {}).values():
                missing += [one for one in keys if one.lower() != "aws:currenttime"]
    for action in self._get_param("ActionNames", []):
        for resource in self._get_param("ResourceArns", []) or ["*"]:
            results.append(
                {
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": decision(documents, action, resource),
                    "MissingContextValues": sorted(set(missing)),
                }
            )
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})


def is_public(policy):
    return any(
        one["Effect"] == "Allow" and (one.get("Principal") == "*" or (one.get("Principal") or {}).get("AWS") == "*")
        for one in as_list(policy.get("Statement", []))
    )


def problem_of(account, text):
    try:
        policy = json.loads(text)
    except ValueError:
        return "This policy contains invalid Json"
    for statement in as_list(policy.get("Statement", [])):
        for one in as_list((statement.get("Principal") or {}).get("AWS", []) if statement.get("Principal") != "*" else []):
            found = re.fullmatch(rf"arn:aws:iam::{account}:(user|role)/(?:.*/)?([^/]+)", one)
            backend = iam_backends[account]["aws"]
            known = {"user": backend.users, "role": {role.name: role for role in backend.roles.values()}}
            if found and found[2] not in known[found[1]]:
                return "This resource policy contains an unsupported principal."
    return None


def guard_resource_policies():
    """https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutResourcePolicy.html"""
    original = responses.SecretsManagerResponse.put_resource_policy

    def put(self):
        text = self._get_param("ResourcePolicy")
        problem = problem_of(self.current_account, text)
        if problem is not None:
            raise exceptions.JsonRESTError("MalformedPolicyDocumentException", problem)
        if self._get_param("BlockPublicPolicy") and is_public(json.loads(text)):
            raise exceptions.JsonRESTError("PublicPolicyException", "The resource policy grants public access.")
        return original(self)

    def validate(self):
        problem = problem_of(self.current_account, self._get_param("ResourcePolicy"))
        errors = [] if problem is None else [{"CheckName": "Syntax", "ErrorMessage": problem}]
        return json.dumps({"PolicyValidationPassed": not errors, "ValidationErrors": errors})

    responses.SecretsManagerResponse.put_resource_policy = put
    responses.SecretsManagerResponse.validate_resource_policy = validate


def correct():
    decide_as_aws()
    guard_resource_policies()
    IamResponse.simulate_principal_policy = simulate_principal_policy
