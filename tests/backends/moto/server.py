"""moto's server, corrected where it differs from AWS in ways that a client notices.

Not corrected: ListSecretVersionIds lists all versions on one page.
"""

import json
import threading
import time

import flask
from moto.core import authorization, exceptions
from moto.iam import access_control
from moto.secretsmanager import models, responses
from moto.server import main
from moto.sts.exceptions import STSClientError
from moto.sts.responses import TokenResponse as STSResponse

import access
import rotation

MAX_VALUE = 65_536
JSON_NAMES = {
    "AccessDenied": "AccessDeniedException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
}


def speaks_json():
    return flask.has_request_context() and "X-Amz-Target" in flask.request.headers


def answer_in_json(error):
    """Services with a JSON protocol answer a refused sign-in in JSON; moto answers everyone in XML."""
    original = error.__init__

    def init(self, *args, **kwargs):
        original(self, *args, **kwargs)
        if speaks_json():
            self.error_type = JSON_NAMES[self.error_type]
            self.code = 400
            self.content_type = "application/x-amz-json-1.1"
            self.description = json.dumps({"__type": self.error_type, "message": self.message})

    error.__init__ = init


for error in (
    exceptions.AccessDeniedError,
    exceptions.SignatureDoesNotMatchError,
    exceptions.InvalidClientTokenIdError,
):
    answer_in_json(error)


def name_the_secret():
    """Policies on one secret: moto checks every call against the resource `*`."""
    mixin = authorization.ActionAuthenticatorMixin
    original = mixin._authenticate_and_authorize_normal_action

    def check(self, resource="*"):
        if "secretsmanager" in str(self.headers.get("X-Amz-Target", "")):
            body = json.loads(self.body or "{}")
            wanted = body.get("SecretId") or body.get("Name")
            if wanted:
                known = models.secretsmanager_backends[self.current_account][self.region].secrets
                if wanted in known:
                    resource = known[wanted].arn
                elif wanted.startswith("arn:"):
                    resource = wanted
                else:
                    resource = f"arn:aws:secretsmanager:{self.region}:{self.current_account}:secret:{wanted}"
        return original(self, resource)

    mixin._authenticate_and_authorize_normal_action = check


def sign_in_with_a_token():
    """AssumeRoleWithWebIdentity carries no signature, which moto demands; and a token, which moto never reads."""
    mixin = authorization.ActionAuthenticatorMixin
    original = mixin._authenticate_and_authorize_action

    def check(self, *args, **kwargs):
        if self._get_action() == "AssumeRoleWithWebIdentity" and "Authorization" not in self.headers:
            return None
        return original(self, *args, **kwargs)

    mixin._authenticate_and_authorize_action = check
    answer = STSResponse.assume_role_with_web_identity

    def with_token(self):
        if self._get_param("WebIdentityToken", "").count(".") != 2:
            raise STSClientError("InvalidIdentityToken", "The ID token provided is not a valid JWT.")
        return answer(self)

    STSResponse.assume_role_with_web_identity = with_token


def follow_the_current_label():
    """GetSecretValue without a version reads AWSCURRENT; moto reads the version written last."""
    backend = models.SecretsManagerBackend
    original = backend.update_secret_version_stage

    def move(self, secret_id, *args, **kwargs):
        result = original(self, secret_id, *args, **kwargs)
        secret = self.secrets[secret_id]
        for version, held in secret.versions.items():
            if "AWSCURRENT" in held["version_stages"]:
                secret.set_default_version_id(version)
        return result

    backend.update_secret_version_stage = move


def name_the_missing_label():
    """Of a secret that is there AWS says which label no version has; moto says that there is no such secret."""
    backend = models.SecretsManagerBackend
    original = backend.get_secret_value

    def get(self, secret_id, version_id, version_stage):
        if not version_id and version_stage and secret_id in self.secrets:
            secret = self.secrets[secret_id]
            held = [label for version in secret.versions.values() for label in version["version_stages"]]
            if version_stage not in held and not secret.is_deleted():
                raise exceptions.JsonRESTError(
                    "ResourceNotFoundException",
                    "Secrets Manager can't find the specified secret value for staging label: " + version_stage,
                )
        return original(self, secret_id, version_id, version_stage)

    backend.get_secret_value = get


def refuse_large_values(action):
    original = getattr(responses.SecretsManagerResponse, action)

    def checked(self, *args, **kwargs):
        text = json.loads(self.body or "{}").get("SecretString") or ""
        if len(text.encode()) > MAX_VALUE:
            raise exceptions.JsonRESTError("ValidationException", "the value of secretString is too long")
        return original(self, *args, **kwargs)

    setattr(responses.SecretsManagerResponse, action, checked)


def list_all_versions():
    """moto fails for a secret that is not there and hands out a next page without end."""

    def answer(self):
        wanted = json.loads(self.body or "{}")["SecretId"]
        secrets = self.backend.secrets
        if wanted not in secrets:
            raise models.SecretNotFoundException()
        secret = secrets[wanted]
        versions = [
            {"VersionId": name, "VersionStages": held["version_stages"], "CreatedDate": held["createdate"]}
            for name, held in secret.versions.items()
        ]
        return json.dumps({"ARN": secret.arn, "Name": secret.name, "Versions": versions})

    responses.SecretsManagerResponse.list_secret_version_ids = answer


def guard_the_labels():
    """A label that another version holds only moves when that version is named; moto gives it to both.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
    """
    backend = models.SecretsManagerBackend
    original = backend.update_secret_version_stage

    def move(self, secret_id, version_stage, remove_from_version_id, move_to_version_id):
        if secret_id in self.secrets:
            for version, held in self.secrets[secret_id].versions.items():
                if version_stage in held["version_stages"] and version != remove_from_version_id:
                    raise exceptions.JsonRESTError(
                        "InvalidParameterException",
                        f"Staging label {version_stage} is currently attached to version {version}, so you must "
                        "explicitly reference that version in RemoveFromVersionId.",
                    )
        return original(self, secret_id, version_stage, remove_from_version_id, move_to_version_id)

    backend.update_secret_version_stage = move


def keep_milliseconds():
    """AWS tells when a version was made to the millisecond (the example of ListSecretVersionIds); moto to the second."""
    backend = models.SecretsManagerBackend
    original = backend._add_secret

    def add(self, secret_id, *args, **kwargs):
        before = set(self.secrets[secret_id].versions) if secret_id in self.secrets else set()
        secret, is_new = original(self, secret_id, *args, **kwargs)
        for version, held in secret.versions.items():
            if version not in before:
                held["createdate"] = round(time.time(), 3)
        return secret, is_new

    backend._add_secret = add


def refuse_writes_to_deleted(action):
    """AWS changes nothing of a secret that is scheduled for deletion; moto does."""
    original = getattr(responses.SecretsManagerResponse, action)

    def checked(self, *args, **kwargs):
        body = json.loads(self.body or "{}")
        wanted = body.get("SecretId") or body.get("Name")
        if wanted in self.backend.secrets and self.backend.secrets[wanted].is_deleted():
            raise exceptions.JsonRESTError(
                "InvalidRequestException",
                "You can't perform this operation on the secret because it was marked for deletion.",
            )
        return original(self, *args, **kwargs)

    setattr(responses.SecretsManagerResponse, action, checked)


def one_at_a_time(action):
    """AWS makes each change whole; moto's threads may come between."""
    original = getattr(responses.SecretsManagerResponse, action)

    def locked(self, *args, **kwargs):
        with ONE_AT_A_TIME:
            return original(self, *args, **kwargs)

    setattr(responses.SecretsManagerResponse, action, locked)


def refuse_inactive_keys():
    """AWS takes an access key that is switched off for one that it does not know; moto lets it in.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys-admin-managed.html
    """
    key = access_control.IAMUserAccessKey
    original = key.__init__

    def init(self, account_id, partition, access_key_id, headers):
        original(self, account_id, partition, access_key_id, headers)
        owner = self.backend.get_user(self._owner_user_name)
        if any(one.access_key_id == access_key_id and one.status == "Inactive" for one in owner.access_keys):
            raise access_control.CreateAccessKeyFailure(reason="InvalidId")

    key.__init__ = init


ONE_AT_A_TIME = threading.Lock()
WRITES = ("create_secret", "put_secret_value", "update_secret_version_stage")

name_the_secret()
refuse_inactive_keys()
sign_in_with_a_token()
list_all_versions()
guard_the_labels()
keep_milliseconds()
for action in WRITES:
    refuse_writes_to_deleted(action)
follow_the_current_label()
name_the_missing_label()
for action in ("create_secret", "put_secret_value", "update_secret"):
    refuse_large_values(action)
for action in WRITES:
    one_at_a_time(action)
rotation.correct(ONE_AT_A_TIME)
access.correct()

if __name__ == "__main__":
    main()
