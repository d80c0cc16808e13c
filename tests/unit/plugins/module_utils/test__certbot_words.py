# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certbot 2.1 said to pebble, and what we make of it."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._certbot_words import (
    failed_hooks,
    is_locked,
    lines_of,
    reason_of,
)
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor

RULE = "- - - - - - - - - - - - - - - - - - - -\n"
CHALLENGE = f"""
{RULE}Processing /etc/letsencrypt/renewal/a.example.conf
{RULE}Simulating renewal of an existing certificate for a.example

Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Domain: a.example
  Type:   unauthorized
  Detail: Non-200 status code from HTTP: http://a.example:80/.well-known/acme-challenge/m84 returned 404

Hint: The Certificate Authority failed to download the temporary challenge files created by Certbot.

{RULE}All simulated renewals failed. The following certificates could not be renewed:
  /etc/letsencrypt/live/a.example/fullchain.pem (failure)
{RULE}1 renew failure(s), 0 parse failure(s)

Saving debug log to /var/log/letsencrypt/letsencrypt.log
Failed to renew certificate a.example with error: Some challenges have failed.
Ask for help or search for solutions at https://community.letsencrypt.org.
"""
LOCKED = """Saving debug log to /var/log/letsencrypt/letsencrypt.log
Another instance of Certbot is already running.
Ask for help or search for solutions at https://community.letsencrypt.org.
"""
BROKEN = """Processing /etc/letsencrypt/renewal/a.example.conf
Renewal configuration file /etc/letsencrypt/renewal/a.example.conf is broken.
The error was: renewal config file {'version': '2.1.0', 'renewalparams': {'dns_token': 'hunter2hunter2'}} is missing a required file reference
Skipping.
"""


def error(text: str) -> str:
    return f"Failed to renew certificate a.example with error: {text}\n{RULE}1 renew failure(s), 0 parse failure(s)\n"


@pytest.mark.parametrize(
    ("said", "code", "reason"),
    [
        pytest.param(
            CHALLENGE,
            1,
            "a.example: unauthorized: Non-200 status code from HTTP: "
            "http://a.example:80/.well-known/acme-challenge/m84 returned 404",
            id="a challenge that nobody can see",
        ),
        pytest.param(
            error("Requesting ca/dir: Connection refused"),
            1,
            "Requesting ca/dir: Connection refused",
            id="no authority",
        ),
        pytest.param(
            error("The requested dns-route53 plugin does not appear to be installed"),
            1,
            "The requested dns-route53 plugin does not appear to be installed",
            id="no plugin",
        ),
        pytest.param(BROKEN, 1, "its renewal file is broken, so certbot passes it over", id="a broken renewal file"),
        pytest.param(LOCKED, 1, "Another instance of Certbot is already running.", id="another one"),
        pytest.param("Processing a\n", 124, "certbot did not end in time and was stopped", id="no end"),
        pytest.param("", 1, "it said nothing", id="nothing"),
        pytest.param(
            error("too many certificates (5) already issued for this exact set of domains: retry after 2026-06-02"),
            1,
            "too many certificates (5) already issued for this exact set of domains: retry after 2026-06-02; "
            "trying again before then makes it worse",
            id="a limit",
        ),
    ],
)
def test_the_reason_is_that_of_the_authority(said: str, code: int, reason: str) -> None:
    assert reason_of(said, redact=Redactor(), code=code) == reason


def test_no_secret_of_a_renewal_file_is_passed_on() -> None:
    assert "hunter2" not in "".join(lines_of(BROKEN, redact=Redactor()))
    assert "hunter2" not in reason_of(error("login failed: password=hunter2hunter2"), redact=Redactor(), code=1)


def test_another_certbot_is_recognised() -> None:
    assert is_locked(LOCKED)
    assert not is_locked(CHALLENGE)


def test_hooks_that_fail_are_named_once() -> None:
    said = "Hook 'deploy-hook' reported error code 3\nHook 'post-hook' ran with output:\n fine\nHook 'deploy-hook' reported error code 3\n"
    assert failed_hooks(said) == ["deploy-hook"]
