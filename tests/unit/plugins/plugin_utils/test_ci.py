# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipelines in the documentation say only what the entry takes, and the entry hands over what it was given."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from ansible_collections.runbook.ops.plugins.plugin_utils import ci
from ansible_collections.runbook.ops.plugins.plugin_utils._ci_outcome import Outcome

DOCS = Path(__file__).resolve().parents[4] / "docs" / "pipelines.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
EXPRESSION = re.compile(r"\$\{\{.*?\}\}")


def texts(document):
    """Return all texts that are anywhere in ``document``."""
    if isinstance(document, str):
        return [document]
    inner = document.values() if isinstance(document, dict) else document if isinstance(document, list) else []
    return [text for one in inner for text in texts(one)]


def commands():
    found = []
    for kind, block in BLOCKS:
        for text in texts(yaml.safe_load(block)) if kind == "yaml" else block.splitlines():
            if "plugin_utils.ci " in text:
                found.append(EXPRESSION.sub("expression", text.split("plugin_utils.ci ", 1)[1]))
    return found


def test_there_are_examples_of_each_pipeline():
    assert len([kind for kind, _block in BLOCKS if kind == "yaml"]) >= 2
    assert len(commands()) >= 4


@pytest.mark.parametrize("command", commands())
def test_an_example_is_taken_by_the_entry(command):
    asked = ci.parse(shlex.split(command))
    assert Path(ci.playbook(asked.playbook)).is_file()
    given, files = ci.variables(asked.extra_vars)
    assert given or files or asked.playbook == "rollback"
    assert asked.result


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(["deploy_version=v1"], ({"deploy_version": "v1"}, []), id="a variable"),
        pytest.param(["reason=a = b"], ({"reason": "a = b"}, []), id="a value with an equals sign"),
        pytest.param(["a="], ({"a": ""}, []), id="an empty value"),
        pytest.param(["@/x/y.yml"], ({}, ["/x/y.yml"]), id="a file"),
    ],
)
def test_variables_are_read(given, expected):
    assert ci.variables(given) == expected


@pytest.mark.parametrize("given", ["", "a", "a b=c", "{'a': 1}"])
def test_what_is_no_variable_is_refused(given):
    with pytest.raises(ValueError, match="is no KEY=VALUE and no @file"):
        ci.variables([given])


def test_a_playbook_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(ValueError, match=r"there is no playbook 'deplyo': known are .*deploy, "):
        ci.playbook("deplyo")


def test_what_is_refused_before_ansible_runs_is_told_as_a_result(tmp_path, capsys):
    result = tmp_path / "result.json"
    assert ci.main(["deplyo", "-i", "x", "--result", str(result)]) == 10
    assert '"outcome": "refused"' in result.read_text()
    assert "10 refused: there is no playbook 'deplyo'" in capsys.readouterr().err


def test_a_result_that_cannot_be_written_is_refused_before_anything_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(ci, "run", lambda _asked: pytest.fail("it ran"))
    for result, why in ((tmp_path, "Is a directory"), (tmp_path / "no" / "result.json", "No such file or directory")):
        assert ci.main(["rollback", "-i", "x", "--result", str(result)]) == 10
        assert f"10 refused: --result is {result}, which cannot be written: {why}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_cannot_be_written_afterwards_changes_no_code(tmp_path, capsys, monkeypatch):
    result = tmp_path / "there" / "result.json"
    result.parent.mkdir()

    def ran(_asked):
        result.parent.rmdir()
        return Outcome(12, "a: nobody knows", changed=True, hosts={}), "failed", 1.0

    monkeypatch.setattr(ci, "run", ran)
    assert ci.main(["rollback", "-i", "x", "--result", str(result)]) == 12
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == [
        "12 not_rolled_back",
        f"--result is {result}, which cannot be written",
    ]


def test_a_result_is_there_whole_or_as_it_was(tmp_path, monkeypatch):
    result = tmp_path / "result.json"
    result.write_text("the one before")

    def ran(_asked):
        assert result.read_text() == "the one before"
        return Outcome(0, "", changed=False, hosts={}), "successful", 1.0

    monkeypatch.setattr(ci, "run", ran)
    assert ci.main(["rollback", "-i", "x", "--result", str(result)]) == 0
    assert '"code": 0' in result.read_text()
    assert list(tmp_path.iterdir()) == [result]
