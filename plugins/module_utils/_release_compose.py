# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the image of a service of Compose from the directory of its release. Private to this collection.

The image is named after the release, so that Docker's own cleaning leaves it alone, and is run by its own number.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils import _release_build as builder
from ansible_collections.runbook.ops.plugins.module_utils._account import AccountError, account_of, run
from ansible_collections.runbook.ops.plugins.module_utils._release import BUILD, ReleaseError
from ansible_collections.runbook.ops.plugins.module_utils._release_image import DIGEST, REVISION

KNOWN = (
    "context",
    "dockerfile",
    "args",
    "target",
    "labels",
    "network",
    "no_cache",
    "pull",
    "cache_from",
    "tags",
    "shm_size",
)
REMOVE_SECONDS = 60


class Plan(NamedTuple):
    """How an image is built."""

    context: str
    dockerfile: str
    target: str | None = None
    network: str | None = None
    arguments: Mapping[str, str] = {}  # may hold secrets


def plan_of(build: Mapping[str, Any] | None, *, project: str, where: str, root: str) -> Plan:
    """Return how the image is built that a Compose file describes by ``build``; without that, by the C(Dockerfile) of the release.

    :param project: directory that paths in the Compose file were taken from
    :param where: directory of the application in the release, which takes its place
    :param root: directory of the release, out of which nothing may lead
    :raises ReleaseError: it needs what is not given here.
    """
    build = build or {}
    other = sorted(key for key, value in build.items() if value and key not in KNOWN)
    if other:
        raise ReleaseError(
            f"the build in the Compose file has {', '.join(other)}, which is not done here: build it elsewhere, and set deploy.kind to image"
        )
    below = os.path.relpath(str(build.get("context") or project), project)
    context = os.path.realpath(f"{where}/{below}")
    dockerfile = os.path.realpath(os.path.join(context, str(build.get("dockerfile") or "Dockerfile")))  # noqa: PTH118  # it may be absolute
    for path, key in ((context, "context"), (dockerfile, "dockerfile")):
        if not f"{path}/".startswith(f"{os.path.realpath(root)}/"):
            raise ReleaseError(f"build.{key} leads out of the release ({path}): correct it in the Compose file")
    if not Path(dockerfile).is_file():
        raise ReleaseError(
            f"the release has no {os.path.relpath(dockerfile, root)}: correct build in the Compose file, or source.subdirectory"
        )
    given = build.get("args") or {}
    pairs = (
        [str(one).partition("=") for one in given]
        if isinstance(given, list)
        else [(key, "", value) for key, value in given.items()]
    )
    arguments = {str(key): str(value) for key, _sign, value in pairs if value is not None}
    return Plan(context, dockerfile, build.get("target"), build.get("network"), arguments)


def name_of(service: str, release: str) -> str:
    """Return the name of the image of a release."""
    return f"runbook-ops/{re.sub('[^a-z0-9]+', '-', service.lower()).strip('-')}:{release}"


def build(plan: Plan, *, service: str, release: str, commit: str, directory: str, seconds: float, log: Path) -> str:
    """Return the image that was built, by its number.

    :param directory: of the release: whoever ends what works on it finds the build by that
    :raises ReleaseError: it could not be built.
    """
    told = log.with_suffix(".image")
    told.unlink(missing_ok=True)
    step = ["docker", "build", "--iidfile", str(told), "--tag", name_of(service, release), "--file", plan.dockerfile]
    step += ["--label", f"{REVISION}={commit}", *(["--target", plan.target] if plan.target else [])]
    step += ["--network", plan.network] if plan.network else []
    for name in sorted(plan.arguments):
        step += ["--build-arg", name]  # its value comes from the environment: everybody can read arguments
    account = account_of(None)
    environment = {"PATH": builder.PATH, "HOME": account.home, **plan.arguments, BUILD: directory}
    try:
        builder.build(account, plan.context, [[*step, plan.context]], environment=environment, seconds=seconds, log=log)
        image = told.read_text("utf-8").strip()
    except OSError as exc:
        raise ReleaseError(
            f"docker build did not say what it has built ({exc.strerror}): all it said is in {log}"
        ) from exc
    finally:
        told.unlink(missing_ok=True)
    if not DIGEST.match(image):
        raise ReleaseError(f"docker build did not say what it has built: all it said is in {log}")
    return image


def remove(service: str, release: str) -> None:
    """Remove the image of a release; one that a container was made from stays, for Docker refuses that."""
    with suppress(AccountError):
        command = ["docker", "image", "rm", name_of(service, release)]
        run(account_of(None), command, cwd="/", environment={}, seconds=REMOVE_SECONDS)
