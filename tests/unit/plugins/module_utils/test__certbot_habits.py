# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who renews on a host, and what hooks would do."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._certbot_files import Known
from ansible_collections.runbook.ops.plugins.module_utils._certbot_habits import (
    Habits,
    judge_hooks,
    judge_timers,
    look,
    renews,
)
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError

DEBIAN = "0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && certbot -q renew"
TOLD = """\
Id=certbot.timer
ActiveState=active
Result=success

Id=snap.certbot.renew.timer
ActiveState=inactive
Result=success

Id=certbot.service
ActiveState=failed
Result=exit-code
"""


@pytest.mark.parametrize(
    ("line", "found"),
    [
        pytest.param("0 3 * * * root certbot renew --quiet", True, id="a line"),
        pytest.param("@daily /usr/bin/certbot -q renew && systemctl reload nginx", True, id="with options between"),
        pytest.param("0 3 * * * root /opt/certbot-auto renew", True, id="its old name"),
        pytest.param("0 3 * * 1 root certbot renew --dry-run", False, id="a rehearsal renews nothing"),
        pytest.param("# 0 3 * * * root certbot renew", False, id="a comment"),
        pytest.param("0 3 * * * root certbot certificates", False, id="another verb"),
        pytest.param(DEBIAN, False, id="Debian's own does nothing beside systemd"),
    ],
)
def test_what_renews_is_told_from_what_does_not(line: str, found: bool) -> None:
    assert renews(line, has_systemd=True) is found


def test_debians_own_line_counts_where_there_is_no_systemd() -> None:
    assert renews(DEBIAN, has_systemd=False)


def test_timers_lines_and_hooks_of_a_host_are_found(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "etc/cron.d").mkdir(parents=True)
    (tmp_path / "etc/cron.d/certbot").write_text(f"{DEBIAN}\n")
    (tmp_path / "etc/crontab").write_text("0 3 * * * root certbot renew\n")
    deploy = tmp_path / "le/renewal-hooks/deploy"
    deploy.mkdir(parents=True)
    (deploy / "reload").write_text("#!/bin/sh\nnginx -s reload\n")
    (deploy / "reload").chmod(0o755)
    (deploy / "reload~").write_text("")
    (deploy / "notes").write_text("words")

    found = look(tmp_path, tmp_path / "le", systemctl=lambda *_arguments: TOLD)

    assert (found.timers, found.failed, found.lines) == (["certbot.timer"], ["certbot.service"], ["/etc/crontab"])
    assert {name: runs for name, (_text, runs) in found.hooks.items()} == {"deploy/notes": False, "deploy/reload": True}


def test_systemd_is_not_asked_where_it_does_not_run(tmp_path: Path) -> None:
    def systemctl(*_arguments: str) -> str:
        raise CommandError("systemctl show failed (1): System has not been booted with systemd as init system")

    assert look(tmp_path, tmp_path / "le", systemctl=systemctl) == Habits([], [], [], {})


@pytest.mark.parametrize(
    ("habits", "scheduled", "status"),
    [
        pytest.param(Habits(["certbot.timer"], [], [], {}), False, "ok", id="the timer"),
        pytest.param(Habits([], [], ["/etc/crontab"], {}), False, "ok", id="a line of cron"),
        pytest.param(Habits([], [], [], {}), True, "ok", id="the calendar"),
        pytest.param(Habits([], [], [], {}), False, "critical", id="nobody"),
        pytest.param(Habits(["certbot.timer"], [], ["/etc/crontab"], {}), False, "warning", id="two that race"),
        pytest.param(Habits(["certbot.timer"], ["certbot.service"], [], {}), False, "warning", id="one that failed"),
    ],
)
def test_exactly_one_thing_should_renew(habits: Habits, scheduled: bool, status: str) -> None:
    assert judge_timers(habits, scheduled=scheduled)["status"] == status


RELOAD = {"deploy/reload": ("#!/bin/sh\n# never restart\nnginx -t && systemctl reload nginx\n", True)}


@pytest.mark.parametrize(
    ("values", "hooks", "said"),
    [
        pytest.param({}, RELOAD, None, id="a file that reloads"),
        pytest.param({"renew_hook": "systemctl reload nginx"}, {}, None, id="a hook that reloads"),
        pytest.param({"installer": "nginx"}, {}, None, id="certbot reloads nginx itself"),
        pytest.param({"renew_hook": "systemctl restart nginx"}, {}, "renew_hook has a restart in it", id="a restart"),
        pytest.param({"renew_hook": "docker compose -p x restart front"}, {}, "restart in it", id="of a container"),
        pytest.param({"renew_hook": "service nginx restart"}, {}, "restart in it", id="the old way"),
        pytest.param(
            {"pre_hook": "systemctl stop nginx", **{"post_hook": "x"}}, {}, "pre_hook has a stop", id="a stop"
        ),
        pytest.param({}, {"deploy/x": ("nginx -s reload", False)}, "is not executable", id="not executable"),
        pytest.param({}, {}, "nothing has the server load it", id="none"),
        pytest.param({"pre_hook": "true"}, {}, "nothing has the server load it", id="before it is too early"),
    ],
)
def test_hooks_that_cut_connections_or_do_nothing_are_named(
    values: dict[str, str], hooks: dict[str, tuple[str, bool]], said: str | None
) -> None:
    habits = Habits(["certbot.timer"], [], [], hooks)
    check = judge_hooks("a", Known({}, values, []), habits, served=True, failed=[])
    assert check["status"] == ("warning" if said else "ok")
    assert (said or "") in check["detail"]


def test_where_only_the_playbook_renews_no_hook_is_missed() -> None:
    check = judge_hooks("a", Known({}, {}, []), Habits([], [], [], {}), served=True, failed=[])
    assert check["status"] == "ok"


def test_a_hook_that_failed_is_named() -> None:
    check = judge_hooks("a", Known({}, {}, []), Habits([], [], [], {}), served=False, failed=["deploy-hook"])
    assert check["detail"] == "deploy-hook failed: certbot goes on all the same"
