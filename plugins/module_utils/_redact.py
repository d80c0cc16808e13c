# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take secrets and personal data out of text: what is known by value, by name, or by shape. Private to this collection.

Where it is not sure, it takes out too much: evidence is handed around.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote

HIDDEN = "***"
LEAST_KNOWN = 3  # shorter ones would blacken every word
LEAST_FOUND = 6  # what a host calls a secret is a default such as "true" or "dev" often enough
NAMES = (
    r"(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|credential|dsn|auth(?!or|enticat)|cookie|salt|webhook"
    r"|api[_-]?key|(?:access|private|account|shared|signing|encryption|master|license|session|service|hmac)[_-]?(?:access)?[_-]?key"
    r"|session[_-]?id|database[_-]?url|redis[_-]?url|amqp[_-]?url|mongo\w*?[_-]?ur[il]|connection[_-]?string)"
)
SECRET_NAME = re.compile(rf"(?i){NAMES}|_key$|^key$|_uri$|_url$")
PLAIN_VALUES = re.compile(
    r"(?i)true|false|none|null|yes|no|on|off|\d{1,5}|localhost|production|development|staging|default|disabled|enabled"
    r"|[\w.-]*secrets?|[\w.-]*password|/.*"  # a path, or the name of a secret, is none itself
)
# No name is longer: so no text takes long.
WORD = r"(?<![\w.$-])[\w.$-]{0,60}?"
VALUE = r"(?:\"(?:[^\"\\\n]|\\.)*\"?|'(?:[^'\\\n]|\\.)*'?|\\\"(?:(?!\\\").)*|[^\s\"']+)"
KEY = r"[A-Z ]*PRIVATE KEY(?: BLOCK)?"
UNIT = r"(?:service|timer|socket|slice|mount|automount|scope|target|path|device|swap)\b"

# In this order: what spans lines first, then what names a secret, then what looks like one.
RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (
            rf"(?s)-----BEGIN {KEY}-----(?:(?!-----(?:BEGIN|END)).){{0,12000}}-----END {KEY}-----",
            "*** private key ***",
        ),
        # Without its end, all that can be a part of it; without its beginning, the same.
        (
            rf"-----BEGIN {KEY}-----[^\n]*(?:\n(?:[^\n]{{0,60}}[ \t])?[A-Za-z0-9+/=]{{16,80}}[ \t\r]*(?=\n|\Z))*(?:\n[A-Za-z0-9+/=]{{1,80}}\Z)?",
            "*** private key ***",
        ),
        (
            rf"(?m)(?:^(?:[^\n]{{0,60}}[ \t])?[A-Za-z0-9+/=]{{16,80}}[ \t\r]*\n){{1,99}}[^\n]{{0,60}}-----END {KEY}-----",
            "*** private key ***",
        ),
        (r"(?i)AGE-SECRET-KEY-1[0-9A-Z]+", HIDDEN),
        # An account in a URL; a port and a path that holds an @ are none.
        (r"(://)[^\s/@\"'<>:]{0,100}(?::(?!\d+/)[^\s\"'<>]{0,300})?@", r"\1***@"),
        (
            r"(?i)https?://(?:hooks\.slack\.com|discord(?:app)?\.com/api/webhooks|[\w.-]*\.webhook\.office\.com)/\S+",
            "https://***",
        ),
        (
            r"(?im)(\b(?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?)(?:(basic|bearer|digest|token|negotiate)\s+)?[^\"'\n]+",
            r"\1***",
        ),
        (r"(?im)(\b(?:set-)?cookie[\"']?\s*[:=]\s*[\"']?)[^\"'\n]+", r"\1***"),
        (r"(?i)\b(bearer|token|apikey)\s+(?=\S*\d)[\w.~+/=-]{8,}", r"\1 ***"),
        (r"(?i)\b(basic)\s+(?=\S*[\d=])[A-Za-z0-9+/]{8,}={0,2}", r"\1 ***"),
        # A line of an environment: all that stands behind the name, blanks too.
        (rf"(?m)^(\s*(?:export\s+)?(?=[A-Z])[A-Z0-9_]{{0,60}}(?i:{NAMES})[A-Z0-9_]{{0,60}}\s*=).+$", r"\1***"),
        (rf"(?i)({WORD}{NAMES}[\w.-]{{0,60}}(?:\\?[\"'])?\s*(?:=>|:=|[=:])\s*){VALUE}", r"\1***"),
        (rf"((?<![\w.-])[A-Za-z0-9_]{{0,60}}_(?:KEY|key)[\"']?\s*[=:]\s*){VALUE}", r"\1***"),
        (rf"(?i)(?<!\S)(--?[\w-]{{0,60}}?{NAMES}[\w-]{{0,60}})(?:\s+|=){VALUE}", r"\1 ***"),
        (r"(?i)(?<!\S)(-u|--user|--proxy-user)(?:\s+|=)?[^\s:]+:\S+", r"\1 ***"),
        (r"(\bredis-cli\b[^\n]{0,300}?\s-a)\s*\S+", r"\1 ***"),
        (r"(\bsshpass\s+-p)\s*\S+", r"\1 ***"),
        (r"(\b(?:mysql|mariadb)[\w-]*\b[^\n]{0,300}?\s-p)[^\s]+", r"\1***"),
        (r"(?i)(\bidentified\s+by\s+|\bpassword\s+)(?:E?'(?:[^']|'')*'|\$\w*\$.*?\$\w*\$)", r"\1***"),
        (r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b", HIDDEN),
        (r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{6,}", HIDDEN),
        (r"\bwhsec_[A-Za-z0-9+/=]{6,}", HIDDEN),
        (r"\bsk-[A-Za-z0-9_-]{16,}", HIDDEN),
        (r"\bxox[abeoprs]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}", HIDDEN),
        (r"\b(?:gh[pousr]_|github_pat_|glpat-|npm_|hvs\.|dop_v1_|vercel_|shpat_|pypi-)[A-Za-z0-9_-]{16,}", HIDDEN),
        (r"\bAIza[0-9A-Za-z_-]{30,}", HIDDEN),
        (r"\bSG\.[\w-]{10,}\.[\w-]{10,}", HIDDEN),
        (r"\beyJ[\w-]{6,}\.[\w-]{4,}(?:\.[\w-]*)?", HIDDEN),
        (r"\$(?:2[abxy]|5|6|y|7|argon2id?|scrypt|pbkdf2[\w-]*)\$[^\s:\"']{8,}", HIDDEN),
        (r"\bSCRAM-SHA-256\$\S+", HIDDEN),
        # Personal data: e-mail addresses (a unit such as user@1.service is none), what PostgreSQL quotes of rows, card numbers.
        (
            rf"(?i)(?<![\w.+%-])[\w.+%-]{{1,64}}@(?![\w:\\.-]{{0,200}}\.{UNIT})(?:[\w-]{{1,63}}\.){{1,8}}[a-z]{{2,24}}\b",
            "***@***",
        ),
        (r"(?i)(\bKey \([^)\n]*\)=\()[^\n]*?(\)(?= (?:already|is |conflicts)|$))", r"\1***\2"),
        (r"(?im)(\bFailing row contains \().*$", r"\1***)"),
        (r"(?im)(\b(?:unnamed portal with )?parameters: \$1 = ).*$", r"\1***"),
    )
)
STATEMENT = re.compile(
    r"(?im)(\b(?:STATEMENT|QUERY|duration: [\d.]+ ms +(?:statement|execute \S+|parse \S+|bind \S+)):\s+)(.*)$"
)
CARD = re.compile(r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d.-])")
PARTS_OF_SQL = re.compile(
    r"(?s)(?P<value>(?:[eEbBxX]|[uU]&)?'(?:[^'\\]|''|\\.)*'?|\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z)|(?<![\w$])\d+(?:\.\d+)?(?!\w))"
    r"|(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))|\"[^\"]*\""
)


class Redactor:
    """Takes out the values that are known to be secret, and whatever is named or shaped like one."""

    def __init__(self, known: Iterable[str] = (), found: Iterable[str] = ()) -> None:
        """Prepare for the secrets of an inventory, and for those that a host was found to have.

        :param known: secrets beyond doubt
        :param found: what is called a secret somewhere, which may be a plain word after all
        """
        values = {str(value).strip() for value in known if len(str(value).strip()) >= LEAST_KNOWN}
        values |= {value for value in found if worth_hiding(value)}
        values |= {line.strip() for value in values for line in value.splitlines() if len(line.strip()) >= 12}
        forms = {form for value in values for form in (value, quote(value, safe=""), unquote(value), _escaped(value))}
        longest_first = sorted((form for form in forms if len(form) >= LEAST_KNOWN), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        """Return ``text`` without secrets and personal data."""
        if self._known:
            text = self._known.sub(HIDDEN, text)
        for pattern, replacement in RULES:
            text = pattern.sub(replacement, text)
        text = STATEMENT.sub(lambda met: met[1] + normalise_sql(met[2]), text)
        return CARD.sub(lambda met: HIDDEN if _is_card(met[0]) else met[0], text)

    def deep(self, value: Any) -> Any:
        """Return ``value`` with every text in it redacted, keys too; what stands under a secret's name is hidden whole."""
        if isinstance(value, dict):
            return {
                self(str(key)): HIDDEN if isinstance(item, str) and item and names_secret(str(key)) else self.deep(item)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.deep(item) for item in value]
        return self(value) if isinstance(value, str) else value


def names_secret(name: str) -> bool:
    """Return whether what goes by ``name``, a variable of an environment for example, is likely a secret."""
    return bool(SECRET_NAME.search(name))


def worth_hiding(value: str) -> bool:
    """Return whether a value that is called a secret somewhere is one: not a flag, a small number, a path."""
    return len(value) >= LEAST_FOUND and not PLAIN_VALUES.fullmatch(value)


def secrets_in(name: str, value: str) -> list[str]:
    """Return the secrets in a variable of an environment: the value by its name, and the password of a URL in it."""
    found = [unquote(met[1]) for met in re.finditer(r"://[^\s/:@]*:([^\s/@]+)@", value)]
    if found or not names_secret(name) or re.search(r"(?i)_ur[il]$", name):
        return found
    return [value]


def normalise_sql(statement: str, *, most: int = 500) -> str:
    """Return a statement without its values and comments, on one line: what it does, not to whom."""
    text = PARTS_OF_SQL.sub(lambda met: "?" if met["value"] else " " if met["comment"] else met[0], statement)
    text = " ".join(text.split())
    text = re.sub(r"\(\s*\?(?:\s*,\s*\?)+\s*\)", "(?, …)", text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _is_card(text: str) -> bool:
    digits = [int(sign) for sign in text if sign.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) if index % 2 else digit for index, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0 and len(set(digits)) > 1
