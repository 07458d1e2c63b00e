"""Rotation by Lambda functions, which moto only pretends to do.

A function is a double: whatever answers at ROTATION_FUNCTIONS/ARN. It gets the event that AWS sends, once for each of
the four steps, and has done the step when it answers with 200. What AWS asks of RotateSecret is asked here:
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html

The failures of a function become CloudTrail events, at once and in the form of
https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html

Not done: repetitions of what has failed, schedules that run by themselves, windows, the minutes that CloudTrail takes.
For tests of what is overdue, a tag `test-next-rotation` is the date, in seconds since 1970.
"""

import json
import os
import re
import threading
import time
import urllib.error
import urllib.request
import uuid
from datetime import datetime, timezone

from moto.cloudtrail import responses as cloudtrail
from moto.core.exceptions import JsonRESTError
from moto.secretsmanager import models, responses

FUNCTIONS = os.environ.get("ROTATION_FUNCTIONS", "")
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
ARN = re.compile(r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]+(:[A-Za-z0-9_$-]+)?")
EVENTS = []


def call(arn, event=None):
    request = urllib.request.Request(
        f"{FUNCTIONS}/{arn}",
        data=None if event is None else json.dumps(event).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def refuse(kind, message):
    raise JsonRESTError(kind, message)


def check_rules(rules):
    days, expression = rules.get("AutomaticallyAfterDays"), rules.get("ScheduleExpression")
    if days is not None and expression is not None:
        refuse("InvalidParameterException", "You can specify AutomaticallyAfterDays or ScheduleExpression, not both.")
    if days is not None and not 1 <= days <= 1000:
        refuse("InvalidParameterException", "AutomaticallyAfterDays must be between 1 and 1000.")
    if expression is not None:
        if not re.fullmatch(r"[0-9A-Za-z()#?*\-/, ]{1,256}", expression):
            refuse("InvalidParameterException", "Invalid ScheduleExpression.")
        rate = re.fullmatch(r"rate\((\d+) (hours?|days?)\)", expression)
        if rate is None and not re.fullmatch(r"cron\(\S+( \S+){5}\)", expression):
            refuse("InvalidParameterException", "Invalid ScheduleExpression.")
        if rate is not None and not 4 <= hours(rate) <= 999 * 24:
            refuse("InvalidParameterException", "The rate must be between 4 hours and 999 days.")
    duration = rules.get("Duration")
    if duration is not None and not re.fullmatch(r"[0-9h]{2,3}", duration):
        refuse("InvalidParameterException", "Invalid Duration.")


def hours(rate):
    return int(rate[1]) * (24 if rate[2].startswith("day") else 1)


def next_date(rules):
    rate = re.fullmatch(r"rate\((\d+) (hours?|days?)\)", rules.get("ScheduleExpression") or "")
    if rate is not None:
        return int(time.time()) + hours(rate) * 3600
    if rules.get("AutomaticallyAfterDays"):
        return int(time.time()) + rules["AutomaticallyAfterDays"] * 86_400
    # When a cron expression comes next is more than a double needs to know.
    return int(time.time()) + 86_400 if rules.get("ScheduleExpression") else None


def report(name, secret, version, message=None):
    now = datetime.now(timezone.utc)
    event = {
        "eventVersion": "1.08",
        "userIdentity": {"accountId": secret.account_id, "invokedBy": "secretsmanager.amazonaws.com"},
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": name,
        "awsRegion": secret.region,
        "requestParameters": None,
        "responseElements": None,
        "additionalEventData": {"SecretId": secret.arn, "SecretVersionId": version},
        "eventType": "AwsServiceEvent",
        **({} if message is None else {"errorMessage": message}),
    }
    EVENTS.insert(0, {"at": now.timestamp(), "name": name, "event": event})


def run(secret, arn, token, immediately):
    step = ""
    try:
        for step in STEPS if immediately else ("testSecret",):
            call(arn, {"Step": step, "SecretId": secret.arn, "ClientRequestToken": token})
        if not immediately:
            secret.versions.pop(token, None)
        elif "AWSCURRENT" not in secret.versions[token]["version_stages"]:
            raise ValueError("the version is not current after finishSecret")
        else:
            secret.last_rotation_date = round(time.time(), 3)
            secret.next_rotation_date = next_date(secret.rules)
            report("RotationSucceeded", secret, token)
    except Exception as error:
        detail = error.read().decode() if isinstance(error, urllib.error.HTTPError) else str(error)
        if not immediately:
            secret.versions.pop(token, None)
        failed = "RotationFailed" if immediately else "TestRotationFailed"
        report(failed, secret, token, f"Rotation failed in step {step}: {detail}")


def rotate_by_functions(lock):
    def rotate(self):
        body = json.loads(self.body or "{}")
        secrets = self.backend.secrets
        if body["SecretId"] not in secrets:
            raise models.SecretNotFoundException()
        secret = secrets[body["SecretId"]]
        if secret.is_deleted():
            refuse(
                "InvalidRequestException",
                "You can't perform this operation on the secret because it was marked for deletion.",
            )
        token = body.get("ClientRequestToken") or str(uuid.uuid4())
        if not 32 <= len(token) <= 64:
            refuse("InvalidParameterException", "ClientRequestToken must be 32-64 characters long.")
        arn = body.get("RotationLambdaARN") or secret.rotation_lambda_arn
        rules = body.get("RotationRules")
        if rules is not None:
            check_rules(rules)
        if not arn:
            refuse("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
        if not ARN.fullmatch(arn):
            refuse("InvalidParameterException", "The ARN of the Lambda function is not valid.")
        immediately = body.get("RotateImmediately", True)
        with lock:
            for version, held in secret.versions.items():
                labels = held["version_stages"]
                if "AWSPENDING" in labels and "AWSCURRENT" not in labels:
                    if version == token:
                        return json.dumps({"ARN": secret.arn, "Name": secret.name, "VersionId": token})
                    refuse(
                        "InvalidRequestException",
                        "A previous rotation isn't complete. That rotation will be reattempted.",
                    )
            try:
                call(arn)
            except Exception:
                refuse(
                    "AccessDeniedException",
                    "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy "
                    "grants access to the principal secretsmanager.amazonaws.com.",
                )
            for held in secret.versions.values():
                if "AWSPENDING" in held["version_stages"]:
                    held["version_stages"].remove("AWSPENDING")
            secret.versions[token] = {
                "createdate": round(time.time(), 3),
                "version_id": token,
                "version_stages": ["AWSPENDING"],
            }
            secret.rotation_requested = True
            secret.rotation_lambda_arn = arn
            if rules is not None:
                secret.rules = rules
                secret.rotation_enabled = True
                secret.next_rotation_date = next_date(rules)
        threading.Thread(target=run, args=(secret, arn, token, immediately), daemon=True).start()
        return json.dumps({"ARN": secret.arn, "Name": secret.name, "VersionId": token})

    responses.SecretsManagerResponse.rotate_secret = rotate
    models.FakeSecret.rules = {}
    shown = models.FakeSecret.to_dict

    def to_dict(self):
        answer = shown(self)
        if self.rotation_requested:
            answer["RotationRules"] = dict(self.rules)
            if not self.rotation_enabled:
                answer["NextRotationDate"] = None
        # AWS leaves out what has no value.
        for key in ("NextRotationDate", "LastRotatedDate"):
            if answer.get(key) is None:
                answer.pop(key, None)
        for tag in self.tags or []:
            if tag["Key"] == "test-next-rotation":
                answer["NextRotationDate"] = int(tag["Value"])
        return answer

    models.FakeSecret.to_dict = to_dict


def take_a_value_for_a_pending_version():
    """The version that RotateSecret makes is empty, and its value comes by PutSecretValue with the same token."""
    backend = models.SecretsManagerBackend
    original = backend._check_with_existing_secrets_and_versions

    def check(self, secret_id, version_id, *args, **kwargs):
        held = self.secrets[secret_id].versions.get(version_id) if secret_id in self.secrets else None
        if held is not None and "secret_string" not in held and "secret_binary" not in held:
            return None
        return original(self, secret_id, version_id, *args, **kwargs)

    backend._check_with_existing_secrets_and_versions = check


def look_up_events():
    def answer(self):
        body = json.loads(self.body or "{}")
        wanted = {one["AttributeKey"]: one["AttributeValue"] for one in body.get("LookupAttributes", [])}
        if len(wanted) > 1:
            refuse("InvalidLookupAttributesException", "You can specify one lookup attribute.")
        since = float(body.get("StartTime", 0))
        found = [
            {
                "EventId": str(uuid.uuid4()),
                "EventName": one["name"],
                "EventTime": one["at"],
                "EventSource": "secretsmanager.amazonaws.com",
                "Resources": [],
                "CloudTrailEvent": json.dumps(one["event"]),
            }
            for one in EVENTS
            if one["at"] >= since and wanted.get("EventName", one["name"]) == one["name"]
        ]
        return json.dumps({"Events": found[: body.get("MaxResults", 50)]})

    cloudtrail.CloudTrailResponse.lookup_events = answer


def correct(lock):
    rotate_by_functions(lock)
    take_a_value_for_a_pending_version()
    look_up_events()
