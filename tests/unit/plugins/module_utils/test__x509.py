# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate reader, against certificates that openssl made here and now."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._x509 import X509Error, parse_certificate, pem_to_der

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates under test")

KEYS = {
    "rsa": ["-newkey", "rsa:2048"],
    "ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ed25519": ["-newkey", "ed25519"],
}


def make(directory, *, key="ecdsa", subject="/CN=mail.example.com", names=None, days=90, extra=()):
    """Return the PEM text of a self-signed certificate and the path of its key."""
    certificate, private = directory / "cert.pem", directory / "key.pem"
    extension = ["-addext", f"subjectAltName={names}"] if names else []
    command = ["openssl", "req", "-x509", "-nodes", *KEYS[key], "-keyout", private, "-out", certificate, *extra]
    options = ["-subj", subject, "-days", str(days), *extension]
    subprocess.run([*command, *options], check=True, capture_output=True, timeout=30)
    return certificate.read_text(), private


def openssl_says(directory, *arguments):
    command = ["openssl", "x509", "-in", directory / "cert.pem", "-noout", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


@pytest.mark.parametrize("key", KEYS)
def test_a_certificate_reads_as_openssl_reads_it(tmp_path, key):
    text, _ = make(tmp_path, key=key, subject="/C=DE/O=Example/CN=mail.example.com", names="DNS:mail.example.com")

    found = parse_certificate(pem_to_der(text)[0])

    assert found["subject"] == found["issuer"] == "C=DE, O=Example, CN=mail.example.com"
    assert found["serial"] == openssl_says(tmp_path, "-serial").partition("=")[2].lower()
    fingerprint = openssl_says(tmp_path, "-fingerprint", "-sha256").partition("=")[2]
    assert found["fingerprint_sha256"] == fingerprint.replace(":", "").lower()
    end = datetime.strptime(openssl_says(tmp_path, "-enddate"), "notAfter=%b %d %H:%M:%S %Y GMT")
    assert found["not_after"] == end.replace(tzinfo=timezone.utc)
    assert found["not_after"] - found["not_before"] == timedelta(days=90)


def test_the_fingerprint_of_the_public_key_is_that_of_the_private_key(tmp_path):
    text, private = make(tmp_path, key="rsa")
    command = ["openssl", "pkey", "-in", private, "-pubout", "-outform", "DER"]
    public = subprocess.run(command, check=True, capture_output=True, timeout=30).stdout

    assert parse_certificate(pem_to_der(text)[0])["public_key_sha256"] == hashlib.sha256(public).hexdigest()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(None, [], id="no alternative names"),
        pytest.param("DNS:*.example.com,DNS:example.com", ["*.example.com", "example.com"], id="a wildcard"),
        pytest.param("critical,DNS:example.com", ["example.com"], id="a critical extension"),
        pytest.param("IP:192.0.2.7,IP:2001:db8::7", ["192.0.2.7", "2001:db8::7"], id="addresses"),
        pytest.param("email:a@example.com,DNS:example.com", ["example.com"], id="other kinds are passed over"),
    ],
)
def test_names_are_the_alternative_names(tmp_path, names, expected):
    text, _ = make(tmp_path, names=names)
    assert parse_certificate(pem_to_der(text)[0])["names"] == expected


def test_a_date_from_2050_on_is_a_generalized_time(tmp_path):
    text, _ = make(tmp_path, days=20_000)
    der = pem_to_der(text)[0]

    found = parse_certificate(der)

    assert b"\x18\x0f20" in der, "openssl did not write a GeneralizedTime"
    assert found["not_after"].year > 2050
    assert found["not_after"] - found["not_before"] == timedelta(days=20_000)


def test_an_expired_certificate_reads_like_any_other(tmp_path):
    text, _ = make(tmp_path)
    der = pem_to_der(text)[0]
    end = parse_certificate(der)["not_after"].strftime("%y%m%d%H%M%SZ").encode()

    def year_of(moment):
        return parse_certificate(der.replace(end, moment))["not_after"].year

    assert [year_of(b"990101000000Z"), year_of(b"500101000000Z"), year_of(b"490101000000Z")] == [1999, 1950, 2049]


def test_a_chain_is_read_in_order_and_a_key_is_passed_over(tmp_path):
    first, private = make(tmp_path, subject="/CN=first")
    second, _ = make(tmp_path, subject="/CN=second")

    subjects = [
        parse_certificate(der)["subject"] for der in pem_to_der(first + private.read_text() + "words\n" + second)
    ]

    assert subjects == ["CN=first", "CN=second"]


def test_a_subject_keeps_letters_outside_ascii(tmp_path):
    text, _ = make(tmp_path, subject="/O=Müller & Söhne/CN=example.com", extra=["-utf8"])
    assert parse_certificate(pem_to_der(text)[0])["subject"] == "O=Müller & Söhne, CN=example.com"


def test_a_text_without_certificate_holds_none():
    assert pem_to_der("") == [] == pem_to_der("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")


def test_a_block_that_is_not_base64_is_refused():
    with pytest.raises(X509Error, match="does not hold base64"):
        pem_to_der("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n")


def test_a_damaged_certificate_is_refused_and_never_ends_in_another_error(tmp_path):
    text, _ = make(tmp_path, names="DNS:example.com")
    der = pem_to_der(text)[0]
    for length in range(len(der)):
        with pytest.raises(X509Error):
            parse_certificate(der[:length])

    dice = random.Random(7)
    for _ in range(3_000):
        damaged = bytearray(der)
        damaged[dice.randrange(len(der))] = dice.randrange(256)
        try:
            parse_certificate(bytes(damaged))
        except X509Error as exc:
            assert "\n" not in str(exc)
