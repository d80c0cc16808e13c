# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damages backups in every way that chance and hands know, and looks whether each is found and none is restored.

Run it by hand: ``python3 tests/campaign/backup_damages.py [--damages 1000] [--seed 1]``. It needs ansible-core, GnuPG and the
programs of a PostgreSQL server (Debian: apt-get install postgresql), and makes a cluster of its own. Ends with 1 when a damage was
not found, when a damaged backup would have been restored, or when the one beside it was taken for damaged.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "collections"))
from ansible_collections.runbook.ops.plugins.module_utils import _backup_verify, _pg_backup
from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import read_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError, list_backups, read_backup
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import RestoreError
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_source import of_set, prove_undamaged
from pg_cluster import Cluster

SHOP = """
CREATE TABLE users (id serial PRIMARY KEY, email text NOT NULL);
INSERT INTO users (email) SELECT md5(g::text) FROM generate_series(1, 2000) g;
CREATE TABLE orders (id serial PRIMARY KEY, user_id int REFERENCES users, total numeric);
INSERT INTO orders (user_id, total) SELECT g, g * 1.5 FROM generate_series(1, 1000) g;
CREATE VIEW spent AS SELECT user_id, sum(total) FROM orders GROUP BY 1;
"""
OTHER = "CREATE TABLE letters (id serial PRIMARY KEY, body text); INSERT INTO letters (body) SELECT md5(g::text) FROM generate_series(1, 500) g;"
MANIFEST, SUMS = "manifest.json", "SHA256SUMS"


@dataclass
class Tally:
    """What a campaign has seen."""

    kinds: Counter[str] = field(default_factory=Counter)
    found: int = 0
    restored: int = 0
    violations: list[str] = field(default_factory=list)

    def line(self, seed: int) -> str:
        kinds = ", ".join(f"{number} {name}" for name, number in sorted(self.kinds.items()))
        return (
            f"damages: {self.kinds.total()} ({kinds}); found: {self.found}; restored: {self.restored}; "
            f"violations: {len(self.violations)}; seed: {seed}"
        )


class Key:
    """A key of GnuPG: whoever makes backups has ``public``, and only who restores has ``private``."""

    def __init__(self, home: Path, name: str) -> None:
        home.mkdir(mode=0o700)
        self.home = home
        self._gpg("--passphrase", "", "--quick-gen-key", f"{name}@example.test", "future-default", "default", "never")
        self.public = home / "public.asc"
        self.public.write_text(self._gpg("--armor", "--export"), encoding="ascii")
        self.private = self._gpg("--armor", "--export-secret-keys")
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)

    def _gpg(self, *arguments: str) -> str:
        argv = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


class Yard:
    """Backups of a shop: an older one, the newest, an encrypted one; and one of another database."""

    def __init__(self, cluster: Cluster, place: Path, chance: random.Random) -> None:
        self.cluster, self.place, self.chance = cluster, place, chance
        self.pristine, self.work = place / "pristine", place / "work"
        self.key, self.wrong_key = Key(place / "key", "right"), Key(place / "wrong", "wrong")
        self.reach = {"login_unix_socket": str(cluster.directory), "run_as": cluster.user}
        cluster.sql("CREATE DATABASE shop")
        cluster.sql("CREATE DATABASE other")
        cluster.sql(SHOP, "shop")
        cluster.sql(OTHER, "other")
        encryption = {"method": "gpg", "recipients": [str(self.key.public)]}
        self.old = self._make("shop", "shop")
        cluster.sql("INSERT INTO users (email) SELECT 'new' FROM generate_series(1, 10)", "shop")
        self.new = self._make("shop", "shop")
        self.secret = self._make("shop", "secret", encryption=encryption)
        self.other = self._make("other", "other")
        self._copy()

    def _make(self, database: str, prefix: str, **options: Any) -> str:
        params = {**self.reach, "database": database, "directory": str(self.pristine), "set": prefix, **options}
        name: str = _pg_backup.run(params)["backup"]["name"]
        drilled = self.verify(self.pristine, prefix, drill_backups="all", identity=self.key.private)
        if drilled["problems"]:
            raise SystemExit(f"a backup that nobody damaged must pass: {drilled['problems']}")
        return name

    def _copy(self) -> None:
        """Make the backups anew that are damaged; their proofs are written again, because the files are others."""
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.pristine, self.work, symlinks=True)
        for prefix in ("shop", "secret", "other"):
            self.verify(self.work, prefix, drill=False)

    def renew(self, name: str) -> None:
        """Bring one backup back as it was."""
        shutil.rmtree(self.work / name, ignore_errors=True)
        shutil.copytree(self.pristine / name, self.work / name, symlinks=True)
        self.verify(self.work, name.partition("_")[0], drill=False)

    def verify(self, directory: Path, prefix: str, *, drill: bool = True, **options: Any) -> dict[str, Any]:
        given = {**self.reach, "directory": str(directory), "set": prefix, "drill": drill, "jobs": 1, **options}
        return _backup_verify.run(given)

    def payload(self, name: str) -> list[Path]:
        return sorted(path for path in (self.work / name).rglob("*") if path.is_file() and path.name != "verified.json")


def _pick(yard: Yard, name: str, *, biggest: bool = False) -> Path:
    files = [path for path in yard.payload(name) if path.stat().st_size]
    return max(files, key=lambda path: path.stat().st_size) if biggest else yard.chance.choice(files)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def flip_bit(yard: Yard, name: str) -> None:
    path = _pick(yard, name)
    data = bytearray(path.read_bytes())
    data[yard.chance.randrange(len(data))] ^= 1 << yard.chance.randrange(8)
    _write(path, bytes(data))


def zero_block(yard: Yard, name: str) -> None:
    path = _pick(yard, name)
    data = bytearray(path.read_bytes())
    start = yard.chance.randrange(len(data))
    size = yard.chance.randrange(1, 513)
    piece = bytes(len(data[start : start + size]))
    data[start : start + size] = piece if data[start : start + size] != piece else b"\xff" * len(piece)
    _write(path, bytes(data))


def truncate(yard: Yard, name: str) -> None:
    path = _pick(yard, name)
    os.truncate(path, yard.chance.randrange(path.stat().st_size))


def append(yard: Yard, name: str) -> None:
    path = _pick(yard, name)
    with path.open("ab") as file:
        file.write(yard.chance.choice((b"\n", b"\0", b" ", b"x" * 100)))


def empty(yard: Yard, name: str) -> None:
    os.truncate(_pick(yard, name), 0)


def remove(yard: Yard, name: str) -> None:
    _pick(yard, name).unlink()


def rename(yard: Yard, name: str) -> None:
    path = _pick(yard, name)
    path.rename(path.with_name(path.name + ".1"))


def add(yard: Yard, name: str) -> None:
    _write(_pick(yard, name, biggest=True).with_name("9999.dat.gz"), b"something")


def swap(yard: Yard, name: str) -> None:
    files = yard.payload(name)
    while True:
        first, second = yard.chance.sample(files, 2)
        one, two = first.read_bytes(), second.read_bytes()
        if one != two:
            _write(first, two)
            _write(second, one)
            return


def file_of_older(yard: Yard, name: str) -> None:
    """Bring a file of the older backup into this one: its dump, its manifest, or its checksums."""
    older = yard.old if name != yard.old else yard.new
    same = [
        path
        for path in yard.payload(name)
        if (twin := _twin(yard, path, name, older)).is_file() and _differ(path, twin)
    ]
    path = yard.chance.choice(same)
    _write(path, _twin(yard, path, name, older).read_bytes())


def described_by_older(yard: Yard, name: str) -> None:
    """Bring the manifest of the older backup, with the checksums that fit it, to this one's dump."""
    older = yard.old if name != yard.old else yard.new
    for file in (MANIFEST, SUMS):
        _write(yard.work / name / file, (yard.pristine / older / file).read_bytes())


def dump_of_other(yard: Yard, name: str) -> None:
    """Bring the dump of another database into this backup."""
    target = yard.work / name / "dump"
    if target.is_dir():
        shutil.rmtree(target)
        shutil.copytree(yard.pristine / yard.other / "dump", target)
    else:
        _write(_pick(yard, name, biggest=True), (yard.pristine / yard.other / SUMS).read_bytes())


def other_in_this_name(yard: Yard, name: str) -> None:
    """Give the whole backup of another database this one's name."""
    shutil.rmtree(yard.work / name)
    shutil.copytree(yard.pristine / yard.other, yard.work / name)


def _twin(yard: Yard, path: Path, name: str, older: str) -> Path:
    return yard.pristine / older / path.relative_to(yard.work / name)


def _differ(one: Path, two: Path) -> bool:
    return one.read_bytes() != two.read_bytes()


def reseal(directory: Path) -> None:
    """Write checksums that fit whatever is in a backup now, as somebody would who wants it to look whole."""
    manifest = json.loads((directory / MANIFEST).read_bytes())
    manifest["name"] = directory.name
    own = {MANIFEST, SUMS, "verified.json"}
    files = [path for path in sorted(directory.rglob("*")) if path.is_file() and path.name not in own]
    sums = {path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    manifest["files"] = [
        {"path": path, "size": (directory / path).stat().st_size, "sha256": sha} for path, sha in sorted(sums.items())
    ]
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    sums[MANIFEST] = hashlib.sha256(text.encode()).hexdigest()
    (directory / MANIFEST).write_text(text, encoding="utf-8")
    (directory / SUMS).write_text("".join(f"{sha}  {path}\n" for path, sha in sorted(sums.items())), encoding="utf-8")


def forged_dump(yard: Yard, name: str) -> None:
    """Bring the dump of the older backup, or of another database, into this one, and make all checksums fit."""
    shutil.rmtree(yard.work / name / "dump")
    donor = yard.chance.choice((yard.old if name != yard.old else yard.new, yard.other))
    shutil.copytree(yard.pristine / donor / "dump", yard.work / name / "dump")
    reseal(yard.work / name)


def forged_rows(yard: Yard, name: str) -> None:
    """Say in the manifest that there was a row more, and make all checksums fit."""
    manifest = json.loads((yard.work / name / MANIFEST).read_bytes())
    table = yard.chance.choice(sorted(manifest["content"]["tables"]))
    manifest["content"]["tables"][table] += yard.chance.choice((-1, 1))
    (yard.work / name / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    reseal(yard.work / name)


Damage = Callable[[Yard, str], None]
BY_CHECKSUM: tuple[Damage, ...] = (
    *(flip_bit, flip_bit, flip_bit, zero_block, truncate, append, empty, remove, rename, add, swap),
    *(file_of_older, described_by_older, dump_of_other, other_in_this_name),
)
BY_DRILL: tuple[Damage, ...] = (forged_dump, forged_rows)
EVERY = 20  # one in so many is found by a test restore only


def would_restore(path: Path) -> bool:
    """Return whether a restore takes a backup without a word: it is undamaged, and has passed a test restore."""
    try:
        source = of_set(read_backup(path))
        prove_undamaged(source, all_of_it=True)
    except (RestoreError, SetError):
        return False
    return source.drill is not None


def strike(yard: Yard, number: int, tally: Tally) -> None:
    """Damage one backup, and see what is made of it."""
    by_drill = number % EVERY == EVERY - 1
    wrong_key = by_drill and number % (3 * EVERY) == 3 * EVERY - 1
    name = (
        yard.secret
        if wrong_key
        else yard.chance.choice((yard.old, yard.new) if by_drill else (yard.old, yard.new, yard.secret))
    )
    prefix = name.partition("_")[0]
    options: dict[str, Any] = {"drill": by_drill, "drill_backups": "all", "names": [name]}
    if wrong_key:
        kind = "wrong key"
        (yard.work / name / "verified.json").unlink()
        options["identity"] = yard.wrong_key.private
    else:
        damage = yard.chance.choice(BY_DRILL if by_drill else BY_CHECKSUM)
        kind = damage.__name__.replace("_", " ")
        damage(yard, name)
    tally.kinds[kind] += 1
    result = yard.verify(yard.work, prefix, **options)
    if result["problems"]:
        tally.found += 1
    else:
        tally.violations.append(f"damage {number} ({kind}) of {name} was not found")
    if would_restore(yard.work / name):
        tally.restored += 1
        tally.violations.append(f"damage {number} ({kind}) of {name} would have been restored")
    yard.renew(name)


def judge_rest(yard: Yard, tally: Tally) -> None:
    """See that nothing is left behind, and that what nobody damaged is still proven."""
    for prefix in ("shop", "secret", "other"):
        problems = yard.verify(yard.work, prefix, drill=False)["problems"]
        proofs = [read_proof(one) for one in list_backups(yard.work, prefix)]
        if problems or not all(proof and proof["drill"] for proof in proofs):
            tally.violations.append(f"backups {prefix} that nobody damaged are not proven any more: {problems}")
    left = yard.cluster.sql("SELECT string_agg(datname, ' ') FROM pg_database WHERE datname LIKE '%scratch%'")
    if left:
        tally.violations.append(f"databases of test restores are left: {left}")


def campaign(yard: Yard, *, damages: int) -> Tally:
    tally = Tally()
    for number in range(damages):
        strike(yard, number, tally)
    judge_rest(yard, tally)
    return tally


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--damages", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--seed", type=int, help="for what is damaged, and how (default: a new one, which is printed)")
    parser.add_argument("--postgresql", help="version of the server, such as 15 (default: the newest installed)")
    arguments = parser.parse_args(argv)
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    print(f"seed: {seed}", flush=True)
    place = Path(tempfile.mkdtemp(prefix="runbook-ops-damages-"))
    try:
        with Cluster(version=arguments.postgresql, settings={"shared_buffers": "32MB"}) as cluster:
            tally = campaign(Yard(cluster, place, random.Random(seed)), damages=arguments.damages)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    for violation in tally.violations:
        print(violation)
    print(tally.line(seed))
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
