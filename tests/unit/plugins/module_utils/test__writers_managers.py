# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When what was started again is taken for well, and how long a manager is waited for."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _writers_managers
from ansible_collections.runbook.ops.plugins.module_utils._compose import Container
from ansible_collections.runbook.ops.plugins.module_utils._pm2_host import Pm2Host
from ansible_collections.runbook.ops.plugins.module_utils._pm2_plan import Step
from ansible_collections.runbook.ops.plugins.module_utils._writers_managers import Compose, Pm2

WELL = Container("shop-api-1", "api")
OLD = Container("shop-api-run-1", "api", status="exited", exit_code=1)
ILL = Container("shop-api-1", "api", status="restarting", exit_code=1)
CHECKED = Container("shop-api-1", "api", health="starting")


class Module:
    """Programs that are all installed and do nothing."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def get_bin_path(self, name: str, **_options: Any) -> str:
        return f"/usr/bin/{name}"

    def run_command(self, argv: list[str], **_options: Any) -> tuple[int, str, str]:
        self.calls.append(argv)
        return 0, "", ""


@pytest.mark.parametrize(
    ("found", "instances", "said"),
    [
        pytest.param([WELL], 1, None, id="it runs"),
        pytest.param([WELL, OLD], 1, None, id="it runs, and an old one does not"),
        pytest.param([OLD], 1, "has the container shop-api-run-1, which is exited", id="only the old one is there"),
        pytest.param([WELL, OLD], 2, "has the container shop-api-run-1, which is exited", id="one of two"),
        pytest.param([ILL, OLD], 1, "shop-api-1, which is restarting", id="it does not run, nor does the old one"),
        pytest.param([CHECKED], 1, "not healthy yet", id="its check has not passed yet"),
        pytest.param([WELL], 2, "has 1 containers that run", id="one is gone"),
    ],
)
def test_a_service_is_well_when_as_many_containers_serve_as_before(
    found: list[Container], instances: int, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose = Compose(Module())
    monkeypatch.setattr(compose, "_containers", lambda _one: found)
    told = compose.ill({"name": "api", "project": "shop", "instances": [str(number) for number in range(instances)]})
    assert told is None if said is None else said in str(told)


def test_a_pm2_that_hangs_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    module = Module()
    monkeypatch.setattr(Pm2Host, "processes", lambda _host: [])
    monkeypatch.setattr(_writers_managers, "look", lambda _host, _wish: None)
    monkeypatch.setattr(_writers_managers, "pm2_plan", lambda _seen, wish: [Step(("stop", wish.name), "so")])
    Pm2(module).stop([{"name": "api"}, {"name": "worker"}])
    (argv,) = module.calls
    assert argv[:3] == ["timeout", "180", "env"]
    assert argv[-4:] == ["/usr/bin/pm2", "stop", "api", "worker"]
