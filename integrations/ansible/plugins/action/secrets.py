from __future__ import annotations

import base64
import binascii
import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.secrets.cli.plugins.module_utils.cli import (
    EXIT_NOT_FOUND,
    SecretsFailure,
    command_line,
    run,
    value_of,
)

SHARED = ("store", "profile", "config", "reason", "timeout", "executable")
SPEC = {
    "name": {"type": "str", "required": True, "aliases": ["reference"]},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    # Raw, because Ansible would turn a number into text that may not be the one that the playbook spells.
    "value": {"type": "raw", "no_log": True},
    "value_base64": {"type": "raw", "no_log": True},
    "generate": {"type": "str"},
    "if_absent": {"type": "bool", "default": False},
    "allow_empty": {"type": "bool", "default": False},
    **{name: {"type": "str"} for name in SHARED},
}
SOURCES = ("value", "value_base64", "generate")


class ActionModule(ActionBase):
    """An action and not a module: Ansible would write a module's arguments, the value among them, to a file on the host."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        if "ansible_loop_var" in variables:
            # Ansible prints the items of a loop, and an item may hold the value.
            result["_ansible_no_log"] = True
        try:
            checked, wanted = self.validate_argument_spec(argument_spec=SPEC)
            result.update(self.ensure(wanted, variables))
        # As a result, because Ansible would print the item of a loop with an exception.
        except (SecretsFailure, AnsibleActionFail) as failure:
            result.update(failed=True, msg=str(failure))
            exit_code = getattr(failure, "exit_code", None)
            if exit_code is not None:
                result["exit_code"] = exit_code
        return result

    def ensure(self, wanted, variables):
        options = {name: wanted.get(name) or self.templated(variables, name) for name in SHARED}
        executable = options["executable"] or os.environ.get("SECRETS_EXECUTABLE") or "secrets"
        self.words = command_line(executable, options)
        self.name = wanted["name"]
        given = [name for name in SOURCES if wanted.get(name) is not None]
        if wanted["state"] == "absent":
            if given or wanted["if_absent"]:
                raise AnsibleActionFail("state absent takes no %s" % (given + ["if_absent"])[0])
            return self.absent()
        if len(given) != 1:
            raise AnsibleActionFail("state present takes one of value, value_base64 and generate")
        if wanted["generate"] is not None:
            if not wanted["if_absent"]:
                raise AnsibleActionFail(
                    "generate would write a new value in every run; set if_absent: true, or rotate with secrets rotate"
                )
            return self.if_absent(["--generate=%s" % wanted["generate"]], b"")
        value = given_value(wanted, given[0])
        flags = ["--allow-empty"] if wanted["allow_empty"] else []
        return self.if_absent(flags, value) if wanted["if_absent"] else self.present(flags, value)

    def templated(self, variables, name):
        value = variables.get("secrets_%s" % name)
        return None if value is None else self._templar.template(value)

    def present(self, flags, value):
        row = self.found(["get"])
        if row is not None and value_of(row) == value:
            return self.outcome(False, row.get("version"), row.get("version"))
        return self.put(flags, value, None if row is None else row.get("version"))

    def if_absent(self, flags, value):
        # A key can only be seen by reading the secret; a whole secret by its metadata.
        with_key = "#" in self.name
        row = self.found(["get"] if with_key else ["get", "--metadata"])
        version = None if row is None else row.get("version", row.get("currentVersion"))
        if row is not None and "deletedAt" not in row:
            return self.outcome(False, version, version)
        if with_key:
            return self.put(flags, value, None)
        try:
            return self.put(flags + ["--if-absent"], value, None)
        except SecretsFailure as failure:
            # Somebody else created it meanwhile.
            if failure.kind == "Conflict":
                return self.outcome(False, None, None)
            if failure.kind != "Unsupported":
                raise
        # A store without a conditional write: the look above has to do.
        return self.put(flags, value, None)

    def put(self, flags, value, before):
        dry = ["--dry-run"] if self._task.check_mode else []
        written = run(self.words + ["put"] + flags + dry + ["--", self.name], value) or {}
        return self.outcome(True, before, written.get("version"))

    def absent(self):
        dry = ["--dry-run"] if self._task.check_mode else []
        try:
            run(self.words + ["delete"] + dry + ["--", self.name])
        except SecretsFailure as failure:
            if failure.exit_code != EXIT_NOT_FOUND:
                raise
            return self.outcome(False, None, None, gone=True)
        return self.outcome(True, None, None, gone=True)

    def found(self, command):
        """What the command says about the secret; None if there is no such secret, or no such key."""
        try:
            return run(self.words + command + ["--", self.name])
        except SecretsFailure as failure:
            if failure.exit_code == EXIT_NOT_FOUND:
                return None
            raise

    def outcome(self, changed, before, after, gone=False):
        result = {"changed": changed, "reference": self.name}
        if after is not None:
            result["version"] = after
        if self._task.diff and changed:
            states = ("present", "deleted") if gone else (versioned(before), versioned(after))
            result["diff"] = {
                "before_header": self.name,
                "after_header": self.name,
                "before": "%s\n" % states[0],
                "after": "%s\n" % states[1],
            }
        return result


def versioned(version):
    return "no such version" if version is None else "version %s" % version


def given_value(wanted, source):
    given = wanted[source]
    if not isinstance(given, str):
        # Without the value: only what it is.
        raise AnsibleActionFail(
            "%s is %s, not text; quote a number, and use to_json for a whole JSON secret" % (source, kind_of(given))
        )
    if source == "value":
        return given.encode("utf-8", "surrogateescape")
    try:
        return base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raise AnsibleActionFail("value_base64 is not base64") from None


def kind_of(given):
    kinds = ((bool, "a boolean"), ((int, float), "a number"), (dict, "a mapping"), ((list, tuple), "a list"))
    return next((name for types, name in kinds if isinstance(given, types)), "something else")
