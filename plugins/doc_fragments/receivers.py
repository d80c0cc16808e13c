# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that modules share: who gets a message."""

from __future__ import annotations


class ModuleDocFragment:
    """A mail address with its server, and a webhook."""

    DOCUMENTATION = r"""
options:
  email:
    description: Address that gets a mail. No mail without it.
    type: str
  email_from:
    description: Address that mails come from. C(root) at the host's name without it.
    type: str
  smtp:
    description: Server that takes the mail. The host's own sendmail without it.
    type: dict
    suboptions:
      host:
        description: Name or address.
        type: str
        required: true
      port:
        description: TCP port.
        type: int
        default: 25
      tls:
        description: How the connection is encrypted.
        type: str
        choices: [none, starttls, tls]
        default: none
      user:
        description: Name to log in with. No login without it.
        type: str
      password:
        description: Its password.
        type: str
      ca_path:
        description: File of certificates to trust instead of the system's store.
        type: path
  webhook_url:
    description: URL that gets a message. None without it.
    type: str
  webhook_format:
    description: What the webhook is sent; V(slack) is what Slack and Mattermost take.
    type: str
    choices: [json, slack]
    default: json
  webhook_ca_path:
    description: File of certificates to trust instead of the system's store.
    type: path
"""
