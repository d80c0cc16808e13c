# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A message reaches a mail server and a webhook, and what they say against it is told in one line without secrets."""

from __future__ import annotations

import json
import socketserver
import threading
from email import message_from_string
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _notify
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._monitor_message import make_message
from ansible_collections.runbook.ops.plugins.module_utils._notify import NotifyError, send

CHECK = make_check("disk:/", name="Disk /", section="Host", status="critical", detail="voll: 1 GB frei, größer")
EVENT = {**CHECK, "kind": "alert", "was": "ok", "since": 0, "follows": []}
MESSAGE = make_message([EVENT], system="shop", host="shop-1", number=1, now=1_795_000_000)


class Mailbox(socketserver.StreamRequestHandler):
    """A mail server that says 250 to everything but what it was told to answer otherwise."""

    def handle(self):
        self.say("220 here")
        while line := self.rfile.readline().decode().strip():
            verb = line.split(":")[0].split()[0].upper()
            if verb in self.server.answers:
                self.say(self.server.answers[verb])
            elif verb == "EHLO":
                self.say("250-here")
                self.say("250 AUTH PLAIN")
            elif verb == "DATA":
                self.say("354 go on")
                lines = list(iter(lambda: self.rfile.readline().decode(), ".\r\n"))
                self.server.mails.append("".join(lines))
                self.say(self.server.answers.get("END", "250 taken"))
            elif verb == "AUTH":
                self.server.logins.append(line)
                self.say("235 in")
            elif verb == "QUIT":
                self.say("221 bye")
            else:
                self.say("250 fine")

    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())


class Hook(BaseHTTPRequestHandler):
    """A webhook that remembers what it got."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), json.loads(body)))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments):
        """Say nothing."""


@pytest.fixture
def mailbox():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox) as server:
        server.daemon_threads = True
        server.answers, server.mails, server.logins = {}, [], []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def hook():
    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        server.status, server.got = 200, []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def mail(server, **other):
    smtp = {"host": "127.0.0.1", "port": server.server_address[1], "tls": "none", "user": None, **other}
    return {"to": "ops@shop.example", "from": "root@shop-1", "smtp": smtp}


def url(server):
    return {"webhook_url": f"http://127.0.0.1:{server.server_address[1]}/services/T00/s3cret"}


def test_a_mail_arrives_whole_and_under_the_id_of_its_message(mailbox):
    send("email", MESSAGE, mail(mailbox), {})
    got = message_from_string(mailbox.mails[0])
    assert got["Message-ID"] == f"<{MESSAGE['id']}@runbook-ops>"
    assert (got["To"], got["Subject"]) == ("ops@shop.example", "[shop] shop-1: critical: Disk /")
    assert "größer" in got.get_payload(decode=True).decode()


def test_a_mail_server_that_wants_it_gets_name_and_password(mailbox):
    send("email", MESSAGE, mail(mailbox, user="monitor"), {"smtp_password": "s3cret"})
    assert len(mailbox.logins) == 1


@pytest.mark.parametrize(
    ("answers", "words", "refused"),
    [
        pytest.param({"RCPT": "550 no such mailbox"}, "refuses the address: 550 no such", True, id="no such mailbox"),
        pytest.param({"RCPT": "451 greylisted"}, "refuses the address: 451", False, id="greylisted"),
        pytest.param({"MAIL": "553 who are you"}, "refuses the sender: 553", True, id="a sender it does not like"),
        pytest.param({"END": "552 too large"}, "refuses the mail: 552", True, id="too large"),
        pytest.param({"END": "452 disk full"}, "refuses the mail: 452", False, id="its disk is full"),
        pytest.param({"AUTH": "535 wrong s3cret"}, "does not let us in: 535", False, id="a wrong password"),
        pytest.param({"EHLO": "421 later", "HELO": "421 later"}, "does not take it", False, id="busy"),
    ],
)
def test_what_a_mail_server_says_against_it_is_told(mailbox, answers, words, refused):
    mailbox.answers = answers
    with pytest.raises(NotifyError, match=words) as caught:
        send("email", MESSAGE, mail(mailbox, user="monitor"), {"smtp_password": "s3cret"})
    assert caught.value.refused is refused
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("server", "password"),
    [
        pytest.param({"user": "monitor"}, "s3crét", id="a password that no login can hold"),
        pytest.param({"host": f"{'x' * 64}.example"}, "", id="a name that is none"),
    ],
)
def test_what_cannot_be_sent_at_all_is_told_without_what_it_is(mailbox, server, password):
    with pytest.raises(NotifyError, match="its user or password has letters") as caught:
        send("email", MESSAGE, mail(mailbox, **server), {"smtp_password": password})
    assert "crét" not in str(caught.value)


def test_certificates_that_are_not_there_are_named(mailbox):
    with pytest.raises(NotifyError, match="is not there, or cannot be read"):
        send("email", MESSAGE, mail(mailbox, tls="tls", ca_path="/nowhere/ca.pem"), {})
    with pytest.raises(NotifyError, match="is not there, or cannot be read"):
        send("webhook", MESSAGE, {"format": "json", "ca_path": "/nowhere/ca.pem"}, {"webhook_url": "https://h.example"})


def test_a_mail_that_was_taken_is_taken_whatever_the_server_says_afterwards(mailbox):
    mailbox.answers = {"QUIT": "421 I stumble"}
    send("email", MESSAGE, mail(mailbox), {})
    assert len(mailbox.mails) == 1


def test_a_mail_server_that_is_down_is_told(mailbox):
    settings = mail(mailbox)
    settings["smtp"]["port"] = 1
    with pytest.raises(NotifyError, match="does not answer: Connection refused"):
        send("email", MESSAGE, settings, {})


def test_without_a_server_the_host_s_own_sendmail_takes_it(tmp_path, monkeypatch):
    program = tmp_path / "sendmail"
    program.write_text(f'#!/bin/sh\ncat > {tmp_path}/mail; echo "$@" > {tmp_path}/arguments\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(_notify, "SENDMAIL", (str(program),))
    send("email", MESSAGE, {"to": "ops@shop.example", "from": "root@shop-1", "smtp": None}, {})
    assert (tmp_path / "arguments").read_text(encoding="utf-8").split() == ["-t", "-oi"]
    assert "To: ops@shop.example" in (tmp_path / "mail").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("program", "words"),
    [
        pytest.param(None, "has no sendmail", id="there is none"),
        pytest.param("#!/bin/sh\necho 'queue full' >&2; exit 75\n", r"failed \(75\): queue full", id="it fails"),
    ],
)
def test_a_sendmail_that_does_not_take_it_is_told(tmp_path, monkeypatch, program, words):
    path = tmp_path / "sendmail"
    if program:
        path.write_text(program, encoding="utf-8")
        path.chmod(0o755)
    monkeypatch.setattr(_notify, "SENDMAIL", (str(path),))
    with pytest.raises(NotifyError, match=words):
        send("email", MESSAGE, {"to": "a@b", "from": "c@d", "smtp": None}, {})


@pytest.mark.parametrize(
    ("form", "key"), [pytest.param("json", "events", id="JSON"), pytest.param("slack", "attachments", id="Slack")]
)
def test_a_webhook_gets_the_message_and_its_id(hook, form, key):
    send("webhook", MESSAGE, {"format": form}, url(hook))
    headers, body = hook.got[0]
    assert headers["Idempotency-Key"] == MESSAGE["id"]
    assert key in body


@pytest.mark.parametrize(("status", "refused"), [(500, False), (429, False), (302, False), (404, True), (400, True)])
def test_a_webhook_that_does_not_take_it_is_told_without_its_url(hook, status, refused):
    hook.status = status
    with pytest.raises(NotifyError, match=f"HTTP {status}") as caught:
        send("webhook", MESSAGE, {"format": "json"}, url(hook))
    assert caught.value.refused is refused
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("address", ["", "ftp://s3cret", "http://user:s3cret@host/", "http://127.0.0.1:1/s3cret"])
def test_a_webhook_that_cannot_be_reached_is_told_without_its_url(address):
    with pytest.raises(NotifyError) as caught:
        send("webhook", MESSAGE, {}, {"webhook_url": address})
    assert "s3cret" not in str(caught.value)
