# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is secret or personal is taken out of text by value, by name and by shape; what explains a fault stays."""

from __future__ import annotations

import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._redact import (
    Redactor,
    names_secret,
    normalise_sql,
    secrets_in,
    worth_hiding,
)

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAu1SU1LfVLPHCozMxH2Mo\n4lgOEePzNm0tRgeLezV6ffAt0gun\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("DB_PASSWORD=hunter-2", "hunter-2"),
        ("PASSPHRASE=correct horse battery staple", "horse"),
        ("export JWT_SIGNING_SECRET='a b,c;d&e'", "c;d"),
        ("  password: 's3cr3t, with blanks'", "blanks"),
        ('{"user": "joe", "apiKey": "abc\\"def", "n": 1}', "def"),
        ('msg="login" body="{\\"password\\":\\"pa55\\",\\"a\\":1}"', "pa55"),
        ("?user=1&access_token=tok-1234&b=2", "tok-1234"),
        ("ENCRYPTION_KEY: 0011aabb", "0011aabb"),
        ("STRIPE_KEY=abcdefg", "abcdefg"),
        ("config key_file=x some_key='very quiet'", "quiet"),
        ("connect postgres://app:p%40ss@db:5432/shop failed", "p%40ss"),
        ("connect postgres://app:p@s/s@db/shop failed", "s/s"),
        ("redis://:only-a-password@10.0.0.1:6379/0", "only-a-password"),
        ("SENTRY https://0123abcd0123@o1.ingest.sentry.io/5", "0123abcd0123"),
        ("git clone https://ghp_0123456789abcdefABCDEF@github.com/a/b", "ghp_"),
        ("Authorization: Bearer abc", "abc"),
        ("authorization: 'Basic dXNlcjpwYXNz'", "dXNlcjpwYXNz"),
        ("headers { authorization: AWS4-HMAC-SHA256 Credential=AK/x, Signature=f00d }", "f00d"),
        ("sent bearer 0a1b2c3d4e", "0a1b2c3d4e"),
        ("Cookie: sid=s%3Aabc; theme=dark", "s%3Aabc"),
        ("< set-cookie: session=deadbeef; HttpOnly", "deadbeef"),
        (PEM, "MIIEow"),
        (PEM, "4lgOEe"),
        (PEM.replace("\n", "\\n"), "4lgOEe"),
        (PEM[:70], "MIIEow"),
        (PEM[40:], "4lgOEe"),
        ("id AKIAIOSFODNN7EXAMPLE used", "AKIA"),
        ("charge with sk_live_4eC39HqLyjWDarjtT1 failed", "4eC39"),
        ("whsec_abcDEF123456", "abcDEF"),
        ("POST https://hooks.slack.com/services/T0/B0/XyZ 404", "XyZ"),
        ("xoxb-12345678-abc", "12345678"),
        ("jwt eyJhbGciOiJI.eyJzdWIiOiIx.sig_nature ok", "sig_nature"),
        ("hash $2b$10$N9qo8uLOickgx2ZMRZoMye stored", "N9qo"),
        ("mysqldump -u root -phunter2 shop", "hunter2"),
        ("redis-cli -h db -a hunter2 ping", "hunter2"),
        ("curl -u joe:hunter2 https://x", "hunter2"),
        ("app --db-password hunter2 --verbose", "hunter2"),
        ("app --api-token=hunter2", "hunter2"),
        ("Server=db;User Id=sa;Pwd=hunter2;", "hunter2"),
        ("DefaultEndpointsProtocol=https;AccountKey=Zm9vYmFy==", "Zm9vYmFy"),
        ("ALTER ROLE app PASSWORD 'hunter2'", "hunter2"),
        ("mail to joe.doe+x@example.co.uk bounced", "joe.doe"),
        ("DETAIL:  Key (email)=(joe) already exists.", "joe"),
        ("DETAIL:  Failing row contains (1, Joe Doe, 1970-01-01).", "Joe"),
        ("STATEMENT:  SELECT * FROM users WHERE name = 'Joe Doe' AND id = 17", "Joe"),
        ("duration: 12.3 ms  execute <unnamed>: SELECT 'Joe'", "Joe"),
        ("DETAIL:  parameters: $1 = 'Joe', $2 = '7'", "Joe"),
        ("card 4111 1111 1111 1111 declined", "1111 1111"),
    ],
)
def test_a_secret_is_taken_out_by_its_name_or_shape(text, secret):
    assert secret in text
    assert secret not in Redactor()(text)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql@17-main.service loaded failed, user@1000.service active",
        "GET http://localhost:3000/users/17 500 in 12 ms",
        "FATAL: password authentication failed for user shop",
        "tokens used 12 of 100; author: none given",
        "connect to 10.0.0.7:5432 refused at 2026-11-21T12:00:00.123Z (pid 1234567890123)",
        'nginx[12]: upstream timed out (110: Connection timed out), client: 203.0.113.9, request: "GET /a HTTP/1.1"',
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "express@4.18.2 and node v20",
        "basic functionality restored",
        "scp root@db1:/backups/x",
    ],
)
def test_what_explains_a_fault_stays(text):
    assert Redactor()(text) == text


def test_a_key_without_its_end_takes_nothing_else_with_it():
    lines = [
        "before",
        "boom -----BEGIN PRIVATE KEY-----",
        "2026-11-21T12:00:00: MIIEowIBAAKCAQEAu1SU1LfVLPHCozMxH2Mo",
        "after",
    ]
    redacted = Redactor()("\n".join([*lines, PEM, "last"]))
    assert "MIIE" not in redacted
    assert [line for line in redacted.splitlines() if "***" not in line] == ["before", "after", "last"]


@pytest.mark.parametrize(
    "text", ["hunter-2", "x hunter-2y", "a%2Fb%3D1", '{"p": "quo\\"ted"}', "second long line of it"]
)
def test_a_known_secret_is_taken_out_wherever_and_however_it_is_written(text):
    redact = Redactor(["hunter-2", "a/b=1", 'quo"ted', "first long line of it\nsecond long line of it"])
    assert "***" in redact(text)


def test_a_word_that_is_called_a_secret_by_chance_does_not_blacken_the_rest():
    assert Redactor(found=["true", "production", "/run/secrets/db", "80"])("true production 80") == "true production 80"
    assert Redactor(found=["Zx81-k9"])("logged Zx81-k9") == "logged ***"


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("DB_PASSWORD", "hunter-2", ["hunter-2"]),
        ("DATABASE_URL", "postgres://app:p%40ss@db/shop", ["p@ss"]),
        ("API_URL", "https://example.com/v1", []),
        ("PATH", "/usr/bin", []),
        ("STRIPE_SECRET_KEY", "sk_x", ["sk_x"]),
    ],
)
def test_the_secrets_of_an_environment_are_found_by_name_and_in_urls(name, value, found):
    assert secrets_in(name, value) == found


def test_structures_are_redacted_in_depth():
    found = Redactor(["hunter-2"]).deep({"a": [{"password": "x", "n": 1}, "hunter-2"], "b": None})
    assert found == {"a": [{"password": "***", "n": 1}, "***"], "b": None}


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("SELECT * FROM t1 WHERE a = 'x''y' AND b = 12 -- joe", "SELECT * FROM t1 WHERE a = ? AND b = ?"),
        ("INSERT INTO t VALUES (1, 'a', E'b\\'c', $$d$$)", "INSERT INTO t VALUES (?, …)"),
        ('SELECT /* joe */ $1, "Col 1" FROM x LIMIT 5', 'SELECT $1, "Col 1" FROM x LIMIT ?'),
        ("SELECT 'cut in the mid", "SELECT ?"),
    ],
)
def test_a_statement_is_shown_without_its_values(statement, shown):
    assert normalise_sql(statement) == shown


@pytest.mark.parametrize(
    ("name", "is_secret"), [("PGPASSWORD", True), ("API_KEY", True), ("AUTHOR", False), ("HOME", False)]
)
def test_a_secret_is_known_by_its_name(name, is_secret):
    assert names_secret(name) is is_secret


def test_a_path_is_no_secret():
    assert not worth_hiding("/run/secrets/password")


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "a-" * 100_000, "x@" * 50_000, "pass" * 50_000, "1 " * 100_000, "A" * 76 + "\n"], ids=len
)
def test_no_text_takes_long(text):
    began = time.thread_time()
    Redactor()(text)
    assert time.thread_time() - began < 2
