# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renewals by a certbot that is told what to answer, on lineages laid out as certbot lays them out."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._certbot_files import CertbotError
from ansible_collections.runbook.ops.plugins.module_utils._certbot_habits import Habits
from ansible_collections.runbook.ops.plugins.module_utils._certbot_run import Host
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor
from ansible_collections.runbook.ops.plugins.modules import certbot_renewal

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates under test")

GIVEN: dict[str, Any] = {
    key: option.get("default") for key, option in certbot_renewal.ARGUMENTS.items() if key != "acme_ca_path"
}
RENEWAL = "[renewalparams]\nauthenticator = webroot\nserver = https://acme-v02.api.letsencrypt.org/directory\n"
FAILED = "Failed to renew certificate x with error: urn: nobody answered"
TIMER = Habits(["certbot.timer"], [], [], {"deploy/reload": ("nginx -s reload", True)})


def issue(config: Path, name: str, days: int) -> None:
    """Write a certificate of ``name``, as a renewal does."""
    archive, live = config / "archive" / name, config / "live" / name
    archive.mkdir(parents=True, exist_ok=True)
    live.mkdir(parents=True, exist_ok=True)
    number = len(list(archive.glob("cert*"))) + 1
    made = {kind: archive / f"{kind}{number}.pem" for kind in ("cert", "chain", "fullchain", "privkey")}
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", str(made["privkey"])]
    named = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-days", str(days)]
    command = ["openssl", "req", "-x509", "-nodes", *key, *named, "-out", str(made["cert"])]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    made["fullchain"].write_text(made["cert"].read_text() * 2)
    made["chain"].write_text(made["cert"].read_text())
    for kind, path in made.items():
        (live / f"{kind}.pem").unlink(missing_ok=True)
        (live / f"{kind}.pem").symlink_to(path)
    (config / "renewal").mkdir(exist_ok=True)
    (config / "renewal" / f"{name}.conf").write_text(RENEWAL)


class FakeCertbot:
    """Renews what is asked for; what is among ``bad`` fails."""

    def __init__(self, config: Path, *bad: str, said: str = FAILED) -> None:
        self.config, self.bad, self.said = config, bad, said
        self.calls: list[tuple[str, ...]] = []

    def say(self, *arguments: str) -> tuple[int, str]:
        self.calls.append(arguments)
        name = arguments[2]
        if name in self.bad:
            return 1, self.said
        if "--dry-run" not in arguments:
            issue(self.config, name, 120)
        return 0, "Hook 'deploy-hook' reported error code 3" if name == "hooked" else ""


def later() -> datetime:
    """Return the day of the runs, thirty days after all that openssl makes."""
    return datetime.now(timezone.utc) + timedelta(days=30)


@pytest.fixture
def lineages(tmp_path: Path) -> Path:
    for name, days in (("bad", 40), ("due", 40), ("fresh", 110)):
        issue(tmp_path, name, days)
    return tmp_path


def renew(certbot: Any, config: Path, *, check_mode: bool = False, **given: Any) -> dict[str, Any]:
    host = Host(config, (), certbot, Redactor(), 0, later)
    return certbot_renewal.run({**GIVEN, **given}, host=host, seen=TIMER, check_mode=check_mode)


def statuses(result: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["status"] for one in result["certificates"]}


def test_one_that_fails_keeps_no_other_from_its_renewal_and_is_named(lineages: Path) -> None:
    certbot = FakeCertbot(lineages, "bad")

    result = renew(certbot, lineages)

    assert statuses(result) == {"bad": "failed", "due": "renewed", "fresh": "kept"}
    assert [call[:3] for call in certbot.calls] == [("renew", "--cert-name", "bad"), ("renew", "--cert-name", "due")]
    assert result["changed"]
    assert result["renewed"] == ["due"]
    assert result["failures"] == ["bad: urn: nobody answered"]
    checks = {check["id"]: check["status"] for check in result["checks"]}
    assert (checks["certificate_renewal:bad"], checks["certificate_renewal:due"]) == ("critical", "ok")
    assert result["changes"][0]["after"] > result["changes"][0]["before"]


def test_a_second_run_has_nothing_to_do(lineages: Path) -> None:
    renew(FakeCertbot(lineages), lineages)
    certbot = FakeCertbot(lineages)

    again = renew(certbot, lineages)

    assert not again["changed"]
    assert certbot.calls == []


def test_in_check_mode_all_are_tried_and_none_is_renewed(lineages: Path) -> None:
    certbot = FakeCertbot(lineages, "bad")
    before = sorted(str(path) for path in lineages.rglob("*"))

    result = renew(certbot, lineages, check_mode=True)

    assert all("--dry-run" in call for call in certbot.calls)
    assert len(certbot.calls) == 3
    assert statuses(result) == {"bad": "failed", "due": "tried", "fresh": "tried"}
    assert result["renewed"] == ["bad", "due"]
    assert sorted(str(path) for path in lineages.rglob("*")) == before


def test_the_prediction_comes_true(lineages: Path) -> None:
    predicted = renew(FakeCertbot(lineages), lineages, check_mode=True, dry_run="never")
    done = renew(FakeCertbot(lineages), lineages)
    assert predicted["diff"] == done["diff"]
    assert predicted["actions"] == done["actions"]


def test_an_early_one_is_tried_before_it_costs_anything(lineages: Path) -> None:
    certbot = FakeCertbot(lineages)
    result = renew(certbot, lineages, names=["fresh"], early=["fresh"])
    assert ["--dry-run" in call for call in certbot.calls] == [True, False]
    assert "--force-renewal" in certbot.calls[1]
    assert result["renewed"] == ["fresh"]

    failing = FakeCertbot(lineages, "fresh")
    result = renew(failing, lineages, names=["fresh"], early=["fresh"])
    assert len(failing.calls) == 1
    assert "a dry run failed, so nothing was asked for" in result["failures"][0]


def test_a_hook_that_failed_is_a_finding_though_certbot_ends_well(tmp_path: Path) -> None:
    issue(tmp_path, "hooked", 40)
    result = renew(FakeCertbot(tmp_path), tmp_path)
    check = next(check for check in result["checks"] if check["id"] == "certificate_hooks:hooked")
    assert (check["status"], result["renewed"]) == ("warning", ["hooked"])
    assert "deploy-hook failed" in check["detail"]


def test_a_lineage_that_must_be_there_and_is_not_is_named_beside_the_others(lineages: Path) -> None:
    result = renew(FakeCertbot(lineages), lineages, required=["gone"])
    assert result["failures"] == ["gone: certbot has no lineage of this name: obtain it, or say renewed_by: other"]
    assert result["renewed"] == ["bad", "due"]


def test_a_name_that_nobody_knows_is_an_error(lineages: Path) -> None:
    with pytest.raises(CertbotError, match=r"no lineage 'shp' \(there is bad, due, fresh\)"):
        renew(FakeCertbot(lineages), lineages, names=["shp"])


def test_without_certbot_what_is_due_is_named(lineages: Path) -> None:
    result = renew(None, lineages, names=["due"])
    assert result["failures"] == ["due: certbot is not installed on this host"]


def test_another_certbot_is_waited_for(lineages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy(FakeCertbot):
        def say(self, *arguments: str) -> tuple[int, str]:
            if len(self.calls) < 2:
                self.calls.append(arguments)
                return 1, "Another instance of Certbot is already running."
            return super().say(*arguments)

    module = "ansible_collections.runbook.ops.plugins.module_utils._certbot_run"
    monkeypatch.setattr(f"{module}.LOOK_SECONDS", 0.001)
    certbot = Busy(lineages)
    host = Host(lineages, (), certbot, Redactor(), 30, later)  # type: ignore[arg-type]
    result = certbot_renewal.run({**GIVEN, "names": ["due"]}, host=host, seen=TIMER, check_mode=False)
    assert (result["renewed"], len(certbot.calls)) == (["due"], 3)


def test_a_host_without_certificates_has_nothing_to_do(tmp_path: Path) -> None:
    result = renew(None, tmp_path)
    assert (result["changed"], result["certificates"], result["checks"], result["failures"]) == (False, [], [], [])


class Module:
    """Stands for a module on a host whose certbot is a script."""

    def __init__(self, certbot: Path, **given: Any) -> None:
        self.certbot, self.params = certbot, {**GIVEN, "acme_ca_path": None, **given}

    def get_bin_path(self, _name: str, **_how: Any) -> str:
        return str(self.certbot)

    def run_command(self, argv: list[str], **_how: Any) -> tuple[int, str, str]:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
        return done.returncode, done.stdout, done.stderr


def test_a_certbot_that_takes_too_long_runs_the_hooks_that_start_again_what_it_has_stopped(tmp_path: Path) -> None:
    script = tmp_path / "certbot"  # as certbot's own main.renew does it
    script.write_text(
        f"#!{sys.executable}\nimport pathlib, signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"try:\n    time.sleep(30)\nfinally:\n    pathlib.Path({str(tmp_path)!r}, 'post-hook-ran').touch()\n"
    )
    script.chmod(0o755)
    host = certbot_renewal.host_of(Module(script, timeout_seconds=1))  # type: ignore[arg-type]

    code, _said = host.run("one")

    assert code == 124
    assert (tmp_path / "post-hook-ran").exists()
