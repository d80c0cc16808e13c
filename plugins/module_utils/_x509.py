# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read an X.509 certificate without a library for it. Private to this collection.

Targets have Python's standard library only, and that can show a certificate only over a verified connection. An expired
certificate is the one we are most interested in, so this reads the few fields that a judgement needs from the DER bytes
(RFC 5280). It verifies nothing: neither signature nor chain.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import re
from datetime import datetime, timezone
from typing import Any

PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----(.*?)-----END \1-----", re.DOTALL)

INTEGER, OID, UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x02, 0x06, 0x17, 0x18, 0x30, 0x31
VERSION, EXTENSIONS = 0xA0, 0xA3  # [0] and [3] of a TBSCertificate, both explicit
DNS_NAME, IP_ADDRESS = 0x82, 0x87  # [2] and [7] of a GeneralName
SUBJECT_ALT_NAME = bytes.fromhex("551d11")  # 2.5.29.17

ATTRIBUTES = {
    bytes.fromhex("550403"): "CN",
    bytes.fromhex("550406"): "C",
    bytes.fromhex("550407"): "L",
    bytes.fromhex("550408"): "ST",
    bytes.fromhex("55040a"): "O",
    bytes.fromhex("55040b"): "OU",
    bytes.fromhex("2a864886f70d010901"): "emailAddress",
}
ENCODINGS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}

Element = tuple[int, bytes]


class X509Error(ValueError):
    """The bytes are not a certificate that this reader understands."""


def pem_to_der(text: str, label: str = "CERTIFICATE") -> list[bytes]:
    """Return the blocks of ``label`` in ``text`` in order; other blocks, such as keys, are passed over.

    :raises X509Error: such a block does not hold base64.
    """
    blocks = [block for kind, block in PEM_BLOCK.findall(text) if kind == label]
    try:
        return [base64.b64decode("".join(block.split()), validate=True) for block in blocks]
    except binascii.Error as exc:
        raise X509Error(f"a PEM block does not hold base64 ({exc})") from exc


def parse_certificate(der: bytes) -> dict[str, Any]:
    """Return what a judgement about a certificate needs.

    ``subject`` and ``issuer`` are in the order of the certificate (``C=US, O=Example, CN=R3``), ``names`` are the DNS
    names and IP addresses it is valid for, ``not_before`` and ``not_after`` are aware datetimes in UTC, ``serial``,
    ``fingerprint_sha256`` and ``public_key_sha256`` (of its SubjectPublicKeyInfo) are lower case hexadecimal.

    :raises X509Error: ``der`` is not a certificate.
    """
    try:
        fields = _children(_expect(_children(_expect(_element(der), SEQUENCE))[0], SEQUENCE))
        if fields[0][0] == VERSION:
            fields = fields[1:]
        serial, _algorithm, issuer, validity, subject, public_key, *optional = fields
        not_before, not_after = _children(_expect(validity, SEQUENCE))
        return {
            "subject": _name(subject),
            "issuer": _name(issuer),
            "names": _alternative_names(optional),
            "not_before": _time(not_before),
            "not_after": _time(not_after),
            "serial": _expect(serial, INTEGER).hex(),
            "fingerprint_sha256": hashlib.sha256(der).hexdigest(),
            "public_key_sha256": hashlib.sha256(_wrap(*public_key)).hexdigest(),
        }
    except X509Error:
        raise
    except (IndexError, ValueError) as exc:
        raise X509Error(f"not a certificate: its structure is incomplete ({exc})") from exc


def _read(data: bytes, start: int) -> tuple[int, bytes, int]:
    """Return tag, content and end of the DER element at ``start``."""
    tag, length, start = data[start], data[start + 1], start + 2
    if length >= 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= 4:
            raise X509Error(f"not a certificate: a length of {octets} octets is not DER")
        length, start = int.from_bytes(data[start : start + octets], "big"), start + octets
    end = start + length
    if end > len(data):
        raise X509Error(f"not a certificate: {end - len(data)} bytes are missing at the end")
    return tag, data[start:end], end


def _element(data: bytes) -> Element:
    tag, content, _end = _read(data, 0)
    return tag, content


def _children(content: bytes) -> list[Element]:
    found: list[Element] = []
    at = 0
    while at < len(content):
        tag, inner, at = _read(content, at)
        found.append((tag, inner))
    return found


def _expect(element: Element, tag: int) -> bytes:
    if element[0] != tag:
        raise X509Error(f"not a certificate: found tag {element[0]:#04x} where {tag:#04x} belongs")
    return element[1]


def _wrap(tag: int, content: bytes) -> bytes:
    """Return the DER bytes of an element that was taken apart."""
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _time(element: Element) -> datetime:
    """Return the moment; two-digit years from 50 on are of the twentieth century (RFC 5280, 4.1.2.5.1)."""
    tag, text = element[0], element[1].decode("ascii")
    if tag == UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != GENERALIZED_TIME:
        raise X509Error(f"not a certificate: found tag {tag:#04x} where a time belongs")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)


def _name(element: Element) -> str:
    parts = []
    for relative in _children(_expect(element, SEQUENCE)):
        for pair in _children(_expect(relative, SET)):
            kind, (tag, value) = _children(_expect(pair, SEQUENCE))
            oid = _expect(kind, OID)
            text = value.decode(ENCODINGS.get(tag, "latin-1"), errors="replace")
            parts.append(f"{ATTRIBUTES.get(oid, oid.hex())}={text}")
    return ", ".join(parts)


def _alternative_names(optional: list[Element]) -> list[str]:
    extensions = next((content for tag, content in optional if tag == EXTENSIONS), None)
    if extensions is None:
        return []
    names: list[str] = []
    for extension in _children(_expect(_element(extensions), SEQUENCE)):
        parts = _children(_expect(extension, SEQUENCE))
        if _expect(parts[0], OID) != SUBJECT_ALT_NAME:
            continue
        # The value is last: a critical extension has a boolean between name and value.
        for tag, value in _children(_expect(_element(parts[-1][1]), SEQUENCE)):
            if tag == DNS_NAME:
                names.append(value.decode("ascii"))
            elif tag == IP_ADDRESS:
                names.append(str(ipaddress.ip_address(value)))
    return names
