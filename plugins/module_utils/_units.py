# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and durations: as people write them and as machines count them. Private to this collection."""

from __future__ import annotations

import math
import re

SIZES = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    "pb": 1000**5,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "tib": 1024**4,
    "pib": 1024**5,
}
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)
DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|[smhdw])\s*", re.IGNORECASE)


def parse_size(value: object) -> int:
    """Return the bytes that ``value`` means: a number of bytes, or text such as ``500MB`` (10^6) or ``1MiB`` (2^20).

    :raises ValueError: ``value`` is neither, or negative.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if math.isfinite(value) and value >= 0:
            return round(value)
    elif isinstance(value, str):
        found = SIZE.fullmatch(value.strip())
        if found and found[2].lower() in SIZES:
            factor = SIZES[found[2].lower()]
            return round(float(found[1]) * factor) if "." in found[1] else int(found[1]) * factor
    raise ValueError(
        f"{value!r} is not a size: write a number of bytes, or one with B, kB, MB, GB, TB (powers of 1000) "
        "or KiB, MiB, GiB, TiB (powers of 1024), such as 500MB"
    )


def parse_duration(value: object) -> float:
    """Return the seconds that ``value`` means: a number of seconds, or text such as ``15m``, ``26h``, ``1h30m``.

    :raises ValueError: ``value`` is neither, or negative.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if math.isfinite(value) and value >= 0:
            return float(value)
    elif isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return float(text)
        if text and not DURATION_PART.sub("", text):
            return float(sum(float(number) * SECONDS[unit.lower()] for number, unit in DURATION_PART.findall(text)))
    raise ValueError(
        f"{value!r} is not a duration: write a number of seconds, or numbers with ms, s, m, h, d or w, "
        "such as 15m, 26h or 1h30m"
    )


def human_size(size_bytes: float, *, binary: bool = False) -> str:
    """Return ``size_bytes`` with three significant digits, in powers of 1000, or of 1024 where ``binary``."""
    step, names = (
        (1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB")) if binary else (1000, ("B", "kB", "MB", "GB", "TB", "PB"))
    )
    amount, power = float(size_bytes), 0
    while abs(amount) >= step - 0.5 and power < len(names) - 1:
        amount, power = amount / step, power + 1
    digits = 0 if power == 0 or abs(amount) >= 100 else 1 if abs(amount) >= 10 else 2
    text = f"{amount:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {names[power]}"


def human_duration(seconds: float) -> str:
    """Return ``seconds`` in its two largest units, such as ``1d 2h``; below one second in milliseconds."""
    if seconds < 0:
        return f"-{human_duration(-seconds)}"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f}s"
    rest = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts))
