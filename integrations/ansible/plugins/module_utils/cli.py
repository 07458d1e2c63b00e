"""Runs the `secrets` command on the controller, for the lookup and the action.

A value goes to the command over stdin and comes back over stdout. It is never in an argument or in a variable of the
environment, where other processes could see it, and never in an error.
"""

from __future__ import annotations

import base64
import errno
import json
import subprocess

EXIT_NOT_FOUND = 3


class SecretsFailure(Exception):
    """The command failed. The text is the command's own, without a value."""

    def __init__(self, message, exit_code=None, kind=None):
        super().__init__(message)
        self.exit_code = exit_code
        self.kind = kind


def command_line(executable, options):
    """The command with the options that every command of `secrets` takes; the rest of them are left out."""
    words = [executable, "--json", "--quiet", "--no-color"]
    for name in ("store", "profile", "config", "reason", "timeout"):
        value = options.get(name)
        if value:
            # One word, so that a value that starts with a dash is never another option.
            words.append("--%s=%s" % (name, value))
    return words


def refuse_facts(variables, names):
    """Fails if a host has set one of the variables: the command runs on the controller, with the rights there."""
    facts = (variables or {}).get("ansible_facts") or {}
    for name in names:
        if "secrets_%s" % name in facts:
            raise SecretsFailure("secrets_%s is a fact of the host; set it in the inventory or the playbook" % name)


def run(words, stdin=b""):
    """The command's JSON; None if it printed nothing."""
    try:
        done = subprocess.run(words, input=stdin, capture_output=True, check=False)
    except FileNotFoundError:
        raise SecretsFailure(
            'the program "%s" was not found on the controller; install secrets, or set SECRETS_EXECUTABLE' % words[0]
        ) from None
    except OSError as error:
        reason = "too many references for one command line; split the lookup" if error.errno == errno.E2BIG else error.strerror
        raise SecretsFailure('cannot run "%s": %s' % (words[0], reason)) from None
    if done.returncode != 0:
        raise failure(done)
    try:
        return json.loads(done.stdout) if done.stdout.strip() else None
    except ValueError:
        # Not shown: whatever it is, it could contain a value.
        raise SecretsFailure('"%s" printed something that is not JSON; is it the secrets command?' % words[0]) from None


def failure(done):
    """The error on stderr. Anything that isn't an error of `secrets` is not repeated: it may contain anything."""
    if done.returncode < 0:
        return SecretsFailure("secrets was ended by signal %d" % -done.returncode, done.returncode)
    error = None
    for line in done.stderr.splitlines():
        try:
            error = json.loads(line)["error"]
        except (ValueError, KeyError, TypeError):
            continue
    if not isinstance(error, dict):
        return SecretsFailure("secrets failed without a message (exit code %d)" % done.returncode, done.returncode)
    lines = [sentence(error)] + [sentence(one) for one in error.get("errors", [])]
    text = "secrets: %s (exit code %d)" % ("; ".join(lines), done.returncode)
    return SecretsFailure(text, done.returncode, error.get("kind"))


def sentence(error):
    where = "%s: " % error["reference"] if error.get("reference") else ""
    hint = "; %s" % error["hint"] if error.get("hint") else ""
    return "%s%s%s" % (where, error.get("message", "failed"), hint)


def value_of(row):
    """The bytes of one row of `secrets get --json`."""
    if row["encoding"] == "base64":
        return base64.b64decode(row["value"])
    return row["value"].encode("utf-8")
