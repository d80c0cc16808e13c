# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand a message to one receiver: a mail server, the host's own sendmail, a webhook. Private to this collection.

A message is handed over at least once, always under the same id: as the Message-ID of the mail, as Idempotency-Key of the webhook.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _monitor_message as wording
from ansible_collections.runbook.ops.plugins.module_utils._http import HttpError, ask
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import last_line, run_program

TIMEOUT_SECONDS = 10.0
SENDMAIL = ("/usr/sbin/sendmail", "/usr/lib/sendmail", "/usr/bin/sendmail")
RETRIED = (408, 409, 425, 429)  # what else a 4xx says will be said again tomorrow


class NotifyError(Exception):
    """A receiver did not take a message. ``refused`` where it will not take this one however often it is asked."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(wording.one_line(reason)[:300])
        self.refused = refused


def send(channel: str, message: Mapping[str, Any], settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    """Hand ``message`` to ``channel``, one of CHANNELS.

    :param settings: what the configuration says of the channel
    :param secrets: webhook_url and smtp_password, where they are needed
    :raises NotifyError: it was not taken.
    """
    ca_path = (settings.get("smtp") or settings).get("ca_path")
    if ca_path and not os.access(ca_path, os.R_OK):
        raise NotifyError(f"{ca_path} is not there, or cannot be read: correct the ca_path of ops_alerts")
    CHANNELS[channel](dict(message), settings, secrets)


def _webhook(message: dict[str, Any], settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    import json  # noqa: PLC0415  # only where there is something to say

    body = wording.as_slack(message) if settings.get("format") == "slack" else wording.as_json(message)
    headers = {"Content-Type": "application/json", "Idempotency-Key": message["id"]}
    try:
        answer = ask(
            secrets.get("webhook_url", ""),
            timeout_seconds=TIMEOUT_SECONDS,
            method="POST",
            headers=headers,
            body=json.dumps(body).encode(),
            ca_path=settings.get("ca_path"),
        )
    except HttpError as exc:
        raise NotifyError(f"the webhook does not answer: {exc}") from None
    except ValueError:  # whose message would show the URL, which is a secret
        raise NotifyError("the webhook's URL is not a URL") from None
    if not 200 <= answer.status < 300:
        refused = 400 <= answer.status < 500 and answer.status not in RETRIED
        raise NotifyError(f"the webhook answers HTTP {answer.status}", refused=refused)


def _email(message: dict[str, Any], settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    mail = make_mail(message, settings)
    if not settings.get("smtp"):
        _sendmail(mail)
        return
    import smtplib  # noqa: PLC0415  # only where there is something to say

    try:
        _smtp(mail, settings["smtp"], secrets.get("smtp_password"))
    except smtplib.SMTPRecipientsRefused as exc:
        code, reason = next(iter(exc.recipients.values()))
        raise NotifyError(
            f"the mail server refuses the address: {code} {_plain(reason)}", refused=code >= 500
        ) from None
    except smtplib.SMTPSenderRefused as exc:
        said = f"{exc.smtp_code} {_plain(exc.smtp_error)}"
        raise NotifyError(f"the mail server refuses the sender: {said}", refused=exc.smtp_code >= 500) from None
    except smtplib.SMTPDataError as exc:
        said = f"{exc.smtp_code} {_plain(exc.smtp_error)}"
        raise NotifyError(f"the mail server refuses the mail: {said}", refused=exc.smtp_code >= 500) from None
    except smtplib.SMTPAuthenticationError as exc:
        raise NotifyError(f"the mail server does not let us in: {exc.smtp_code}") from None
    except smtplib.SMTPException as exc:
        raise NotifyError(f"the mail server does not take it: {exc}") from None
    except UnicodeError:  # whose message would show what it is, which may be the password
        raise NotifyError(
            "the mail server's name is no name, or its user or password has letters that a login cannot hold"
        ) from None
    except OSError as exc:
        raise NotifyError(f"the mail server does not answer: {exc.strerror or exc or type(exc).__name__}") from None


def make_mail(message: dict[str, Any], settings: Mapping[str, Any]) -> Any:
    """Return the mail as email.message has it."""
    from email.message import EmailMessage  # noqa: PLC0415  # only where there is something to say
    from email.utils import formatdate  # noqa: PLC0415

    mail = EmailMessage()
    mail["Subject"] = wording.subject(message)
    mail["From"] = wording.one_line(settings["from"])
    mail["To"] = wording.one_line(settings["to"])
    mail["Date"] = formatdate(message["at"])
    mail["Message-ID"] = f"<{message['id']}@runbook-ops>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(wording.text(message), cte="quoted-printable")  # any server takes that
    return mail


def _smtp(mail: Any, server: Mapping[str, Any], password: str | None) -> None:
    import smtplib  # noqa: PLC0415
    import ssl  # noqa: PLC0415

    tls = server.get("tls") or "none"
    context = ssl.create_default_context(cafile=server.get("ca_path")) if tls != "none" else None
    place: dict[str, Any] = {"host": server["host"], "port": int(server["port"]), "timeout": TIMEOUT_SECONDS}
    connection = smtplib.SMTP_SSL(context=context, **place) if tls == "tls" else smtplib.SMTP(**place)
    try:
        if tls == "starttls":
            connection.starttls(context=context)
        if server.get("user"):
            connection.login(server["user"], password or "")
        connection.send_message(mail)
        # Taken is taken: a server that stumbles over the goodbye must not get the same mail again.
        with contextlib.suppress(smtplib.SMTPException, OSError):
            connection.quit()
    finally:
        connection.close()


def _sendmail(mail: Any) -> None:
    program = next((path for path in SENDMAIL if os.access(path, os.X_OK)), None)
    if program is None:
        raise NotifyError("this host has no sendmail: name a server in ops_alerts.smtp, or install one")
    try:
        done = run_program([program, "-t", "-oi"], timeout_seconds=TIMEOUT_SECONDS, stdin=mail.as_string())
    except ProbeError as exc:
        raise NotifyError(str(exc)) from None
    if done.code:
        raise NotifyError(f"sendmail failed ({done.code}): {last_line(done.err or done.out)}")


def _plain(reason: Any) -> str:
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


CHANNELS = {"email": _email, "webhook": _webhook}
