# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of ``make test`` run side by side: each one runs, none beside another on its host, none after one that failed."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _stages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stages", ROOT / "tools" / "stages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


stages = _stages()
Stage = stages.Stage
# Each writes what it does into a file that all share: who began, who ended.
TARGETS = """
.PHONY: a b c d
a b c d:
	@echo "$@ begins" >> said; sleep 0.2; echo "$@ ends" >> said; echo "$@ tells"; [ "$@" != "$(BAD)" ]
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with targets of its own, and take it for ours."""
    (tmp_path / "Makefile").write_text(TARGETS, encoding="utf-8")
    for name, value in {"ROOT": tmp_path, "LOGS": tmp_path, "POLL_SECONDS": 0.02, "TOLD_SECONDS": 0.0}.items():
        monkeypatch.setattr(stages, name, value)
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def said(shop: Path) -> list[str]:
    return (shop / "said").read_text(encoding="utf-8").splitlines()


def test_each_part_of_the_makefile_is_run() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    hosts = re.search(r"^HOSTS := (.*)$", text, re.MULTILINE)
    assert hosts
    known = {one.name for one in stages.STAGES}
    assert {name for name in known if name.startswith("faults-")} == {f"faults-{host}" for host in hosts[1].split()}
    assert set(stages.SYSTEMS) == set(hosts[1].split())
    targets = set(re.findall(r"^([a-z]+):", text, re.MULTILINE))
    assert {name for name in known if "-" not in name} <= targets
    static = re.search(r"^static: (.*)$", text, re.MULTILINE)
    assert static
    assert {*static[1].split(), "local", "integration", "molecule", "system", "controller"} <= known


def test_what_comes_after_another_is_known_and_none_waits_for_ever() -> None:
    waiting, passed = list(stages.STAGES), set()
    while waiting:
        stage = stages.ready(waiting, [], passed)
        assert stage, f"{[one.name for one in waiting]} never begin"
        waiting.remove(stage)
        passed.add(stage.name)


def test_two_on_one_host_take_turns_and_others_pass_them() -> None:
    first, second, other = Stage("a", ("x", "y")), Stage("b", ("y",)), Stage("c", ("z",))
    assert stages.ready([second, other], [first], set()) == other
    assert stages.ready([second], [first], set()) is None
    assert stages.ready([second, other], [], set()) == second


def test_what_comes_after_another_waits_until_that_one_has_passed() -> None:
    later = Stage("b", after=("a",))
    assert stages.ready([later], [Stage("a")], set()) is None
    assert stages.ready([later], [], {"a"}) == later


def test_all_run_and_each_is_told_of_with_what_it_said(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stages, "STAGES", (Stage("a", ("x",)), Stage("b", ("x",)), Stage("c", after=("a", "b"))))
    monkeypatch.setenv("LANES", "2")
    assert stages.main() == 0
    assert said(shop) == ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]
    told = capsys.readouterr().out
    assert re.search(r"^\S+ b begins$", told, re.MULTILINE)
    assert re.search(r"^\S+   a since \d+ s: ", told, re.MULTILINE)
    assert re.search(r"^a tells\n\n\S+ a passed after \d+ s: 1 of 3$", told, re.MULTILINE)
    assert re.search(r"^ +\d+ +\d+  c$", told, re.MULTILINE)
    assert re.search(r"^ +\d+ +\d+  in all, 2 side by side$", told, re.MULTILINE)


def test_lanes_run_side_by_side(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "STAGES", (Stage("a"), Stage("b"), Stage("c", after=("a", "b"))))
    monkeypatch.setenv("LANES", "2")
    (shop / "Makefile").write_text(
        TARGETS.replace("sleep 0.2", "while [ $@ != c ] && [ $$(wc -l < said) -lt 2 ]; do sleep 0.05; done"),
        encoding="utf-8",
    )
    assert stages.main() == 0
    assert set(said(shop)[:2]) == {"a begins", "b begins"}


def test_after_one_that_failed_nothing_begins_and_the_end_says_so(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stages, "STAGES", (Stage("a"), Stage("b"), Stage("c"), Stage("d", after=("b",))))
    monkeypatch.setenv("LANES", "1")
    monkeypatch.setenv("BAD", "b")
    assert stages.main() == 1
    assert said(shop)[-1] == "b ends"
    told = capsys.readouterr().out
    assert "b tells" in told
    assert re.search(r"^\S+ b FAILED \(2\) after", told, re.MULTILINE)
    assert re.search(r"  b: FAILED$", told, re.MULTILINE)


def test_who_is_stopped_stops_what_runs(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    begin = stages.Run.begin
    monkeypatch.setattr(stages.Run, "begin", lambda stage: begun.append(begin(stage)) or begun[-1])

    def stop(_run: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "tell_of", stop)
    monkeypatch.setattr(stages, "STAGES", (Stage("a"),))
    (shop / "Makefile").write_text("a:\n\t@exec sleep 600\n", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        stages.main()
    assert begun[0].process.wait(timeout=60) != 0
