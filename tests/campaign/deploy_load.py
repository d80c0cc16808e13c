# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys one version after the other while users ask all the time, and counts what they noticed. Nothing is what they should notice.

Run it by hand, with Ansible on the path: ``python3 tests/campaign/deploy_load.py --mode fork [--requests 100000] [--deploys 10]``. Users (those of
tests/load) ask nginx on the host itself at a steady rate, with kept and with fresh connections, with requests that take five seconds, and with
WebSockets. The deploys, through playbooks/deploy.yml, are spread over that time. The first one, for which nginx reloads once to take its
configuration over, is apart: it comes before the users, unless ``--first`` asks for it.

A mode is a ``Bench`` (tests/benchmark/deploy.py): the application under one manager. Ends with 1 when a request failed, or no try deployed a
version.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "campaign"), str(TESTS / "benchmark"), str(TESTS / "load")]
from deploy import Bench  # noqa: E402  # found only now
from load import summary  # noqa: E402

# The module with the `Bench` of each mode, found when it is asked for, and what it is told to begin with.
MODES = {"fork": ("deploy", ""), "cluster": ("deploy", "-i 2"), "compose": ("deploy_load_compose", "")}
SETTLED = 5.0  # seconds that users ask before the first deploy and after the last one


class Deployed(NamedTuple):
    """One deploy of the campaign."""

    version: str
    at: float
    took: float
    code: int
    said: str


def bench_of(mode: str, host: str, options: argparse.Namespace) -> Bench:
    made = importlib.import_module(MODES[mode][0]).Bench(host, options, mode=mode)
    assert isinstance(made, Bench)
    return made


def spread(deploys: int, seconds: float) -> Iterator[float]:
    """Return when each deploy is to begin, in seconds from the first request."""
    for number in range(deploys):
        yield SETTLED + number * max(0.0, seconds - 2 * SETTLED) / deploys


def campaign(bench: Bench, versions: Sequence[str], directory: Path, tell: Callable[[str], None]) -> list[Deployed]:
    """Deploy these versions at their times. One that went back by itself is tried once more."""
    began, done = time.monotonic(), []
    for version, due in zip(versions, spread(len(versions), bench.options.requests / bench.options.rate), strict=True):
        time.sleep(max(0.0, began + due - time.monotonic()))
        for _time in range(2):
            deployed = deploy(bench, version, directory)
            tell(f"{deployed.version}: {deployed.took:.1f} s, code {deployed.code}")
            done.append(deployed)
            if deployed.code == 0:
                break
    return done


def deploy(bench: Bench, version: str, directory: Path) -> Deployed:
    at, began = time.time(), time.monotonic()
    played = bench.play(version, directory)
    said = "" if played.returncode == 0 else (played.stdout[-6000:] + played.stderr[-2000:])
    return Deployed(version, round(at, 3), round(time.monotonic() - began, 1), played.returncode, said)


def noticed(told: dict[str, Any]) -> int:
    """Return how many users noticed something: a request without its answer, a WebSocket that was cut off or not opened."""
    sockets = told["websockets"]
    return int(told["failed"]) + sum(int(sockets.get(key, 0)) for key in ("cut_off", "not_opened"))


def lines(mode: str, told: dict[str, Any], done: Sequence[Deployed]) -> Iterator[str]:
    sockets = told["websockets"]
    back = sum(one.code != 0 for one in done)
    yield f"{mode}: {len(done)} deploys, {back} of them went back, {summary(told)}"
    for kind, figures in told["kinds"].items():
        counted = f"{figures['requests']:>7} requests, {figures['failed']} failed {figures['outcomes']}"
        yield f"  {kind:<6} {counted}, {figures['retried']} retried, p99 {figures['p99']} s"
    yield f"  WebSockets: {', '.join(f'{count} {key}' for key, count in sorted(sockets.items())) or 'none'}"
    yield f"  deploys took {', '.join(f'{one.took:.0f}' for one in done)} s; load average {told['load']:.1f}"
    for failure in told["failures"][:10]:
        at = dt.datetime.fromtimestamp(failure["at"], dt.timezone.utc)
        under = next(
            (f" in the deploy of {one.version}" for one in done if 0 <= failure["at"] - one.at <= one.took), ""
        )
        yield f"  {at:%H:%M:%S.%f} {failure['kind']} after {failure['took']} s{under}: {failure['why']}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=MODES, required=True)
    parser.add_argument("--host", default="demo-plugspace", help="test host, as tests/hosts/hosts.py knows it")
    parser.add_argument("--requests", type=int, default=100_000, help="at least")
    parser.add_argument("--deploys", type=int, default=10)
    parser.add_argument("--rate", type=float, default=200, help="requests a second, a third of each kind")
    parser.add_argument("--slow", type=int, default=5, help="users who send slow requests")
    parser.add_argument("--slow-seconds", type=float, default=5, help="how long those take")
    parser.add_argument("--websockets", type=int, default=20)
    parser.add_argument("--watch", default="10s", help="how long a release is watched")
    parser.add_argument(
        "--slowdown", type=int, default=2000, help="percent that ends a deploy: others may use the machine meanwhile"
    )
    parser.add_argument("--first", action="store_true", help="count the first deploy too, for which nginx reloads")
    parser.add_argument("--json", type=Path, help="where to write all that was told")
    options = parser.parse_args(argv)
    bench = bench_of(options.mode, options.host, options)
    numbers = [f"1.{number}.0" for number in range(1, options.deploys + 2 - options.first)]
    done: list[Deployed] = []

    def tell(line: str) -> None:
        print(f"{dt.datetime.now(dt.timezone.utc):%H:%M:%S} {line}", file=sys.stderr, flush=True)

    with (
        tempfile.TemporaryDirectory() as directory,
        bench.application(MODES[options.mode][1], ["good"] * (len(numbers) + 1)),
    ):
        if not options.first:
            first = deploy(bench, numbers.pop(0), Path(directory))
            tell(f"{first.version}, before the users: {first.took:.1f} s, code {first.code}")
            if first.code:
                raise SystemExit(first.said)
        told = bench.asked(lambda: done.extend(campaign(bench, numbers, Path(directory), tell)))
    print("\n".join(lines(options.mode, told, done)), flush=True)
    good = {one.version for one in done if one.code == 0}
    if options.json:
        everything = {
            "mode": options.mode,
            "options": vars(options),
            "deploys": [one._asdict() for one in done],
            **told,
        }
        options.json.write_text(json.dumps(everything, indent=1, default=str))
    for one in done:
        if one.code:
            print(f"the deploy of {one.version} failed:\n{one.said}", flush=True)
    return 1 if len(good) < len(numbers) or noticed(told) else 0


if __name__ == "__main__":
    sys.exit(main())
