# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a backup of a stream holds: decrypted and decompressed, never on the disk by the way. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup, SetError
from ansible_collections.runbook.ops.plugins.module_utils._codec import decoding
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import CHUNK, run_pipeline
from ansible_collections.runbook.ops.plugins.module_utils._tap import Looker


def read_payload(
    backup: Backup, look: Callable[[Iterator[bytes]], Any], *, identity: str | None, timeout_seconds: float
) -> Any:
    """Return what ``look`` makes of the payload.

    :param identity: the private key, where the backup is encrypted
    :raises SetError: the manifest names no payload.
    :raises CodecError: it is encrypted and there is no key, or a program is not here.
    :raises PipelineError: it cannot be decrypted or decompressed.
    """
    relative = backup.manifest["content"].get("payload")
    if relative not in backup.sums:
        raise SetError(f"{backup.path}: its manifest does not say which file holds the data")
    path = backup.path / relative
    with decoding(path, identity=identity) as (stages, source), Looker(look) as looker:
        if stages:
            run_pipeline(stages, source=source, sink=looker, timeout_seconds=timeout_seconds)
        else:
            with path.open("rb", buffering=0) as file:
                while piece := file.read(CHUNK):
                    looker(piece)
    return looker.result
