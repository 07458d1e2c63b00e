from __future__ import annotations

import base64
import binascii

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader
from ansible_collections.secrets.cli.plugins.module_utils.cli import (
    EXIT_NOT_FOUND,
    SecretsFailure,
    command_line,
    refuse_facts,
    run,
    value_of,
)

SHARED = ("store", "profile", "config", "reason", "timeout", "executable")
# The program that runs on the controller is not among them: a variable may come from a host.
FROM_VARIABLES = tuple(name for name in SHARED if name != "executable")
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
        variables = task_vars or {}
        result = {}
        # As results, because Ansible prints the items of a loop with an exception, and an item may hold the value.
        try:
            result = super().run(tmp, task_vars)
            _checked, wanted = self.validate_argument_spec(argument_spec=SPEC)
            result.update(self.ensure(wanted, variables))
        except (SecretsFailure, AnsibleActionFail) as failure:
            result.update(failed=True, msg=str(failure))
            exit_code = getattr(failure, "exit_code", None)
            if exit_code is not None:
                result["exit_code"] = exit_code
        except Exception as error:
            # Without its text, which may quote the value.
            result.update(failed=True, msg="the task failed (%s); check its arguments and variables" % type(error).__name__)
        if "ansible_loop_var" in variables:
            result["_ansible_no_log"] = True
        return result

    def ensure(self, wanted, variables):
        named = [name for name in FROM_VARIABLES if not wanted.get(name)]
        refuse_facts(variables, named)
        options = {name: wanted.get(name) for name in SHARED}
        options.update((name, self.templated(variables, name)) for name in named)
        self.words = command_line(options["executable"] or configured_executable(), options)
        self.name = wanted["name"]
        given = [name for name in SOURCES if wanted.get(name) is not None]
        if wanted["state"] == "absent":
            if given or wanted["if_absent"]:
                raise AnsibleActionFail("%s can't be combined with state: absent" % (given + ["if_absent"])[0])
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
            return self.there(row.get("version"))
        return self.put(flags, value, None if row is None else row.get("version"))

    def if_absent(self, flags, value):
        # A key can only be seen by reading the secret; a whole secret by its metadata.
        if "#" in self.name:
            row = self.found(["get"])
            return self.put(flags, value, None) if row is None else self.there(row.get("version"))
        row = self.found(["get", "--metadata"])
        if has_value(row):
            return self.there(row["currentVersion"])
        try:
            return self.put(flags + ["--if-absent"], value, None)
        except SecretsFailure as failure:
            if failure.kind == "Conflict":
                # Somebody else may have created it meanwhile. A deleted secret in the way is a conflict, too.
                row = self.found(["get", "--metadata"])
                if not has_value(row):
                    raise
                return self.there(row["currentVersion"])
            if failure.kind != "Unsupported":
                raise
        # A store without a conditional write: looking has to do, and not every such store names its versions.
        if row is not None and "deletedAt" not in row:
            row = self.found(["get"])
            if row is not None:
                return self.there(row.get("version"))
        return self.put(flags, value, None)

    def there(self, version):
        return self.outcome(False, version, ())

    def put(self, flags, value, before):
        dry = ["--dry-run"] if self._task.check_mode else []
        written = run(self.words + ["put"] + flags + dry + ["--", self.name], value) or {}
        version = written.get("version")
        states = ("absent" if before is None else named_version(before), named_version(version))
        return self.outcome(True, version, states)

    def absent(self):
        dry = ["--dry-run"] if self._task.check_mode else []
        try:
            run(self.words + ["delete"] + dry + ["--", self.name])
        except SecretsFailure as failure:
            if failure.exit_code != EXIT_NOT_FOUND:
                raise
            return self.outcome(False, None, ())
        return self.outcome(True, None, ("present", "deleted"))

    def found(self, command):
        """What the command says about the secret; None if there is no such secret, or no such key."""
        try:
            return run(self.words + command + ["--", self.name])
        except SecretsFailure as failure:
            if failure.exit_code == EXIT_NOT_FOUND:
                return None
            raise

    def outcome(self, changed, version, states):
        result = {"changed": changed, "reference": self.name}
        if version is not None:
            result["version"] = version
        if self._task.diff and changed:
            result["diff"] = {
                "before_header": self.name,
                "after_header": self.name,
                "before": "%s\n" % states[0],
                "after": "%s\n" % states[1],
            }
        return result


def has_value(row):
    """Whether a secret's metadata are those of one that can be read."""
    return row is not None and "deletedAt" not in row and row.get("currentVersion") is not None


def named_version(version):
    """A version in a diff. The next one has no name before it is written."""
    return "a new version" if version is None else "version %s" % version


def configured_executable():
    """From ansible.cfg or the environment, as the lookup reads it."""
    plugin = lookup_loader.get("secrets.cli.secrets")
    plugin.set_options()
    return plugin.get_option("executable")


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
