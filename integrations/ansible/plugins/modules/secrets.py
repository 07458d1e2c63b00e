from __future__ import annotations

# The work is in plugins/action/secrets.py, which runs on the controller; ansible-doc reads this file.
DOCUMENTATION = r"""
module: secrets
short_description: Write and delete secrets with the secrets command
version_added: 0.1.0
author: The secrets developers
description:
  - Writes a new version of a secret if its value isn't the wanted one, sets one key of a JSON secret, or deletes a secret.
  - Runs on the controller, whatever the host, and needs nothing there. The value goes to the command over stdin, never
    in an argument, a variable of the environment or a temporary file.
requirements:
  - the secrets command on the controller
notes:
  - The result and the diff contain versions, never a value.
  - Set C(no_log) to true if the items of a loop hold values, or loop over names. The task hides its results, but Ansible
    prints the items that C(when) skips and those whose arguments can't be evaluated, and C(register) keeps each item.
  - The variables C(secrets_*) may not be facts of a host, which has no say in what runs on the controller.
  - C(environment), C(become) and C(delegate_to) of the task have no effect on the command.
  - With several hosts in the play the task runs once for each. Use C(run_once) unless the reference contains the host's name.
attributes:
  check_mode:
    support: full
    description: Reads what is stored and checks the write with C(--dry-run).
  diff_mode:
    support: full
    description: Shows the version before and after.
options:
  name:
    description: Secret to write, such as C(prod://payments/db). With C(#key), that key is set and the others are kept.
    type: str
    required: true
    aliases: [reference]
  state:
    description:
      - C(present) writes the value unless it is the current one.
      - C(absent) soft-deletes the secret if it exists. C(secrets restore) undoes that.
    type: str
    choices: [present, absent]
    default: present
  value:
    description: The value, as text. Quote numbers and booleans; use C(to_json) for a whole JSON secret.
    type: str
  value_base64:
    description: The value in base64, for binary values.
    type: str
  generate:
    description:
      - Let secrets generate the value, such as C(alnum:32). Ansible never sees it. Needs C(if_absent).
    type: str
  if_absent:
    description: Write only if the secret, or the key of the reference, doesn't exist.
    type: bool
    default: false
  allow_empty:
    description: Accept an empty value, which usually means that an upstream command failed.
    type: bool
    default: false
  store:
    description: Store for references without C(STORE://). The variable C(secrets_store) sets it for all tasks.
    type: str
  profile:
    description: Profile of secrets.yaml. The variable C(secrets_profile) sets it for all tasks.
    type: str
  config:
    description: Path of secrets.yaml. The variable C(secrets_config) sets it for all tasks.
    type: str
  reason:
    description: Reason to record in the audit log. The variable C(secrets_reason) sets it for all tasks.
    type: str
  timeout:
    description: Time limit for calls to the store, such as C(10s). The variable C(secrets_timeout) sets it for all tasks.
    type: str
  executable:
    description:
      - The secrets command. By default C(SECRETS_EXECUTABLE) of the environment, then C(executable) in the section C(secrets)
        of ansible.cfg, then C(secrets). No variable sets it, because a host could.
    type: str
"""

EXAMPLES = r"""
- name: Store a value
  secrets.cli.secrets:
    name: prod://payments/db#password
    value: "{{ new_password }}"
  run_once: true

- name: Generate a key once
  secrets.cli.secrets:
    name: "app/{{ inventory_hostname }}/api-key"
    generate: alnum:40
    if_absent: true

- name: Delete a secret
  secrets.cli.secrets:
    name: payments/old-db
    state: absent
  run_once: true
"""

RETURN = r"""
reference:
  description: The reference that was written or deleted.
  type: str
  returned: always
version:
  description: The current version of the secret, by the store's own id.
  type: str
  returned: if the store has one and the secret exists
"""
