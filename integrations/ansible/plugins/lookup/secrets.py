from __future__ import annotations

DOCUMENTATION = r"""
name: secrets
short_description: Read secrets with the secrets command
version_added: 0.1.0
author: The secrets developers
description:
  - Returns the value of each reference, in their order. All references of one lookup are read by one process, in as few
    calls as their stores allow.
  - Runs on the controller, with the identity and the secrets.yaml of whoever runs the playbook.
  - If one reference fails, the lookup fails and lists every reference that failed.
requirements:
  - the secrets command on the controller
notes:
  - Set C(no_log) to true on every task that uses a value. Ansible shows the arguments of a task with C(-vvv).
  - The variables of the options may not be facts of a host, which has no say in what runs on the controller.
options:
  _terms:
    description: References, such as C(payments/db#password) or C(prod://stripe?stage=previous#key).
    type: list
    elements: str
    required: true
  as:
    description:
      - C(text) returns the value as text, with every space and line break. A value that isn't UTF-8 is an error.
      - C(base64) returns the bytes of the value in base64, for binary values.
      - C(json) parses the value, for a whole JSON secret. Numbers become YAML's numbers; read C(#key) for their text.
    type: str
    choices: [text, base64, json]
    default: text
  default:
    description:
      - Text to return for a missing secret or key, instead of an error. It is passed as an argument, so it must not be secret.
    type: str
  store:
    description: Store for references without C(STORE://).
    type: str
    vars: [{ name: secrets_store }]
  profile:
    description: Profile of secrets.yaml.
    type: str
    vars: [{ name: secrets_profile }]
  config:
    description: Path of secrets.yaml. By default it is searched for upward from the working directory.
    type: str
    vars: [{ name: secrets_config }]
  reason:
    description: Reason to record in the audit log.
    type: str
    vars: [{ name: secrets_reason }]
  timeout:
    description: Time limit for calls to the stores, such as C(10s).
    type: str
    vars: [{ name: secrets_timeout }]
  executable:
    description: The secrets command. No variable sets it, because a host could.
    type: str
    default: secrets
    env: [{ name: SECRETS_EXECUTABLE }]
    ini: [{ section: secrets, key: executable }]
"""

EXAMPLES = r"""
- name: Write a password to a file
  ansible.builtin.copy:
    content: "{{ lookup('secrets.cli.secrets', 'payments/db#password') }}"
    dest: /etc/app/password
    mode: "0600"
  no_log: true

- name: Read many secrets in one process
  ansible.builtin.template:
    src: app.conf.j2
    dest: /etc/app/app.conf
    mode: "0600"
  vars:
    credentials: "{{ query('secrets.cli.secrets', 'db#user', 'db#password', 'stripe#key') }}"
  no_log: true
"""

RETURN = r"""
_raw:
  description: One value for each reference. A value is data and is never evaluated as a template.
  type: list
  elements: raw
"""

import base64
import json

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.secrets.cli.plugins.module_utils.cli import (
    SecretsFailure,
    command_line,
    refuse_facts,
    run,
    value_of,
)


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        if not terms:
            return []
        for term in terms:
            if not isinstance(term, str):
                raise AnsibleLookupError("secrets: a reference is a string; to look up a list of them, use query() with *LIST")
        options = ("store", "profile", "config", "reason", "timeout")
        try:
            refuse_facts(variables, [name for name in options if kwargs.get(name) is None])
        except SecretsFailure as failure:
            raise AnsibleLookupError("secrets: %s" % failure) from None
        words = command_line(self.get_option("executable"), self.get_options())
        words.append("get")
        default = self.get_option("default")
        if default is not None:
            words.append("--default=%s" % default)
        try:
            answer = run(words + ["--"] + list(terms))
        except SecretsFailure as failure:
            raise AnsibleLookupError(str(failure)) from None
        rows = answer if isinstance(answer, list) else [answer]
        return [self.shown(value_of(row), term) for row, term in zip(rows, terms)]

    def shown(self, value, term):
        form = self.get_option("as")
        if form == "base64":
            return base64.b64encode(value).decode("ascii")
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            # Without the error itself, which quotes the value.
            raise AnsibleLookupError("secrets: %s: the value is not UTF-8; use as='base64'" % term) from None
        if form == "text":
            return text
        try:
            return json.loads(text)
        except ValueError:
            raise AnsibleLookupError("secrets: %s: the value is not JSON; use as='text'" % term) from None
