# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills backups at every named point and at random ones, beside a steady writer, and looks at what is left.

Run it by hand: ``python3 tests/campaign/backup_kills.py [--kills 60] [--seed 1]``. It needs ansible-core and the programs of
a PostgreSQL server (Debian: apt-get install postgresql); where age and zstd are installed, backups are encrypted too. It makes
a cluster of its own. Three ways to kill (SIGKILL) take turns: the module's process alone, the module with all that it has
started, or one program of it, of which the module must tell. After each kill nothing but whole backups may be listed, the
ones from before must be unchanged, and the next run must clear up and make a whole one. The last one of each kind is restored and
compared. Ends with 1 when anything was violated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests" / "benchmark")]
from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import check  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup, list_backups, strays  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._codec import decoding  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._pg_content import compare, read_content  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import run_pipeline  # noqa: E402
from backup_module import family, start  # noqa: E402
from module_process import finish  # noqa: E402
from pg_cluster import Cluster  # noqa: E402

DATABASE, OTHER = "shop", "untouched"
POINTS = (
    *("pg_backup:locked", "pg_backup:begun", "pg_backup:dumped", "pg_backup:adopted", "pg_backup:proven"),
    *("backup:described", "backup:synced", "backup:named"),
)
TARGETS = ("module", "tree", "program")
PROGRAMS = ("pg_dump", "psql", "zstd", "age", "pg_restore")
FILL = """
CREATE TABLE "Big" (id serial PRIMARY KEY, word text NOT NULL);
INSERT INTO "Big" (word) SELECT md5(g::text) FROM generate_series(1, {rows}) g;
CREATE TABLE other AS SELECT g AS id, md5(g::text) AS word FROM generate_series(1, {rows} / 2) g;
CREATE TABLE debit (id serial PRIMARY KEY, amount int NOT NULL);
CREATE TABLE credit (id serial PRIMARY KEY, amount int NOT NULL);
"""
# Two rows that belong together: a dump of two moments would have the one without the other.
WRITE = """
BEGIN; INSERT INTO debit (amount) VALUES (1); INSERT INTO credit (amount) VALUES (1); COMMIT;
"""
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'runbook.ops pg_backup %'"
FILES = "SELECT json_object_agg(relname, relfilenode) FROM pg_class WHERE relnamespace = 'public'::regnamespace"


@dataclass
class Kind:
    """One kind of backup: what the module is told, and the key that reads it."""

    name: str
    options: dict[str, Any]
    identity: str | None = None


@dataclass
class Tally:
    """What a campaign has seen."""

    moments: Counter[str] = field(default_factory=Counter)
    targets: Counter[str] = field(default_factory=Counter)
    leftovers: int = 0
    removed: int = 0
    backups: int = 0
    violations: list[str] = field(default_factory=list)

    def line(self, seed: int) -> str:
        named = sum(number for name, number in self.moments.items() if name in POINTS)
        targets = ", ".join(f"{self.targets[name]} {name}" for name in TARGETS)
        return (
            f"kills: {self.targets.total()} ({targets}; {named} at named points); leftovers: {self.leftovers} found, "
            f"{self.removed} removed; whole backups: {self.backups}; violations: {len(self.violations)}; seed: {seed}"
        )


def kinds() -> list[Kind]:
    """Return the kinds that can be made here."""
    found = [Kind("directory", {"jobs": 2})]
    if shutil.which("zstd"):
        found.append(Kind("stream", {"compression": "zstd"}))
    if shutil.which("age") and shutil.which("zstd"):
        key = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
        public = next(line.split()[-1] for line in key.splitlines() if "public key" in line)
        found.append(Kind("encrypted", {"encryption": {"method": "age", "recipients": [public]}}, key))
    return found


@contextmanager
def writer(cluster: Cluster) -> Iterator[None]:
    """Write all the time, a few hundred transactions a second at most."""
    script = cluster.directory / "write.sql"
    script.write_text(WRITE)
    argv = [str(cluster.binaries / "pgbench"), "-n", "-c", "1", "-R", "200", "-T", "36000", "-f", str(script)]
    argv += ["-h", str(cluster.directory), "-p", str(cluster.port), "-U", cluster.user, DATABASE]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def state_of(backup: Backup) -> str:
    """Return a checksum of every byte of a backup, and of the names in it."""
    digest = hashlib.sha256()
    for path in sorted(backup.path.rglob("*")):
        digest.update(str(path).encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def wrong_listed(directory: Path, kind: Kind, before: dict[str, str]) -> list[str]:
    """Return what is listed and not whole, and what of ``before`` is not as it was."""
    listed = {backup.name: backup for backup in list_backups(directory, kind.name)}
    wrong = [f"{name} is listed and damaged: {found}" for name, one in listed.items() if (found := check(one).problems)]
    wrong += [f"{name} has a good name and is none: {why}" for name, why in strays(directory, kind.name).items()]
    for name, state in before.items():
        if name not in listed or state_of(listed[name]) != state:
            wrong.append(f"{name} from before is gone or changed")
    return wrong


def strike(process: subprocess.Popen[str], target: str, chance: random.Random) -> bool:
    """Kill what ``target`` says of the run, and return whether there was something to kill."""
    below = family(process.pid)
    programs = [pid for pid, name in below if name in PROGRAMS]
    victims = {
        "module": [process.pid],
        "tree": [process.pid, *(pid for pid, _name in below)],
        "program": [chance.choice(programs)] if programs else [],
    }[target]
    killed = 0
    for victim in victims:
        try:
            os.kill(victim, signal.SIGKILL)
            killed += 1
        except ProcessLookupError:
            continue  # it ended just now
    return killed > 0


def kill_one(
    cluster: Cluster,
    directory: Path,
    kind: Kind,
    *,
    target: str,
    point: str | None,
    delay: float,
    chance: random.Random,
) -> dict[str, Any] | None:
    """Run and kill once; return what the run said, None where it was over before."""
    environment = {"RUNBOOK_OPS_KILL_AT": point} if point else {}
    process = start(cluster, DATABASE, directory, set=kind.name, environment=environment, **kind.options)
    if point:
        result = finish(process)
        return result if result.get("killed") else None
    time.sleep(delay)
    struck = process.poll() is None and strike(process, target, chance)
    result = finish(process)
    return result if struck else None


def judge(
    cluster: Cluster, directory: Path, kind: Kind, *, before: dict[str, str], result: dict[str, Any], tally: Tally
) -> list[str]:
    """Return what is not as it must be after a kill, and after the next run."""
    wrong = wrong_listed(directory, kind, before)
    if not result.get("killed") and not result.get("failed"):
        wrong += (
            []
            if result["backup"]["name"] not in before
            else ["a run that lost a program made nothing and did not say so"]
        )
    left = [path.name for path in directory.glob(f"{kind.name}_*.partial")]
    tally.leftovers += len(left)
    if result.get("failed") and left:
        wrong.append(f"a run that failed by itself left {left}")
    again = finish(start(cluster, DATABASE, directory, set=kind.name, **kind.options))
    if "backup" not in again:
        return [*wrong, f"the next run failed: {again.get('msg')}"]
    wrong += wrong_listed(directory, kind, before)
    if again["backup"]["name"] not in [one.name for one in list_backups(directory, kind.name)]:
        wrong.append("the next run's backup is not listed")
    still = [path.name for path in directory.glob(f"{kind.name}_*.partial")]
    tally.removed += len(left) - len(still)
    if still:
        wrong.append(f"left over after the next run: {still}")
    if cluster.sql(SESSIONS) != "0":
        wrong.append("a session is left after the next run")
    return wrong


def restored(cluster: Cluster, kind: Kind, backup: Backup) -> list[str]:
    """Restore a backup beside the live database, and return what in it is not as the manifest says."""
    scratch = f"{DATABASE}_{kind.name}"
    cluster.sql(f"DROP DATABASE IF EXISTS {scratch}")
    cluster.sql(f"CREATE DATABASE {scratch} TEMPLATE template0")
    target = PgTarget({"login_unix_socket": str(cluster.directory), "login_port": cluster.port})
    dump = backup.path / backup.manifest["content"]["dump"]
    if dump.is_dir():
        run_pipeline(
            [
                target.stage("pg_restore", "--exit-on-error", str(dump), database=scratch)._replace(
                    user=None, environment={"PGHOST": str(cluster.directory), "PGUSER": cluster.user}
                )
            ]
        )
    else:
        with decoding(dump, identity=kind.identity) as (stages, source):
            run_pipeline(
                [*stages, target.stage("pg_restore", "--exit-on-error", database=scratch, reads=True)], source=source
            )
    wrong = compare(backup.manifest["content"], read_content(target, scratch))
    pairs = cluster.sql("SELECT (SELECT count(*) FROM debit) = (SELECT count(*) FROM credit)", scratch)
    return [f"{backup.name} restored: {one}" for one in wrong] + (
        [] if pairs == "t" else ["half a transaction was dumped"]
    )


def keep_two(directory: Path, kind: Kind) -> None:
    for backup in list_backups(directory, kind.name)[:-2]:
        shutil.rmtree(backup.path)


def campaign(cluster: Cluster, directory: Path, *, kills: int, seed: int) -> Tally:
    """Kill ``kills`` runs, each at its own moment: every second one at a named point, in turn, the others at random."""
    chance, tally, made = random.Random(seed), Tally(), kinds()
    other = cluster.sql(FILES, OTHER)
    whole = {}
    for kind in made:
        began = time.monotonic()
        result = finish(start(cluster, DATABASE, directory, set=kind.name, **kind.options))
        if "backup" not in result:
            raise SystemExit(f"a run that nobody kills must work: {result.get('msg')}")
        whole[kind.name] = time.monotonic() - began
    number = 0
    while tally.targets.total() < kills:
        kind = made[number % len(made)]
        point = POINTS[(number // 2) % len(POINTS)] if number % 2 == 0 else None
        target = "module" if point else TARGETS[(number // 2) % len(TARGETS)]
        number += 1
        time.sleep(1.01)  # a backup a second
        keep_two(directory, kind)
        before = {one.name: state_of(one) for one in list_backups(directory, kind.name)}
        delay = chance.uniform(0.15, whole[kind.name])
        result = kill_one(cluster, directory, kind, target=target, point=point, delay=delay, chance=chance)
        if result is None:
            continue  # the run was over, or had no program just then: another moment
        tally.targets[target] += 1
        tally.moments[point or "random"] += 1
        time.sleep(1.01)
        wrong = judge(cluster, directory, kind, before=before, result=result, tally=tally)
        tally.violations += [
            f"kill {tally.targets.total()} ({kind.name}, {target}, {point or f'{delay:.2f} s'}): {one}" for one in wrong
        ]
    for kind in made:
        found = list_backups(directory, kind.name)
        tally.backups += len(found)
        tally.violations += restored(cluster, kind, found[-1])
    if cluster.sql(FILES, OTHER) != other:
        tally.violations.append("the other database was touched")
    return tally


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60, help="how many runs to kill (default: 60)")
    parser.add_argument("--seed", type=int, help="for the moments (default: a new one, which is printed)")
    parser.add_argument("--rows", type=int, default=300_000, help="rows of the largest table (default: 300000)")
    parser.add_argument("--postgresql", help="version of the server, such as 15 (default: the newest installed)")
    arguments = parser.parse_args(argv)
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    print(f"seed: {seed}", flush=True)
    with Cluster(version=arguments.postgresql, settings={"max_connections": "30"}) as cluster:
        for name in (DATABASE, OTHER):
            cluster.sql(f"CREATE DATABASE {name}")
            cluster.sql(FILL.format(rows=arguments.rows), name)
        directory = cluster.directory / "backups"
        with writer(cluster):
            tally = campaign(cluster, directory, kills=arguments.kills, seed=seed)
    for violation in tally.violations:
        print(violation)
    print(json.dumps(dict(tally.moments)))
    print(tally.line(seed))
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
