# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give a lineage a twin whose challenges nobody can see, in the configuration directory given: it costs no order."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

config, name, twin = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
for part in ("archive", "live"):
    shutil.copytree(config / part / name, config / part / twin, symlinks=True)
for link in (config / "live" / twin).glob("*.pem"):
    target = str(link.readlink()).replace(name, twin)
    link.unlink()
    link.symlink_to(target)
text = (config / "renewal" / f"{name}.conf").read_text(encoding="utf-8")
text = text.replace(f"/{name}", f"/{twin}").replace("/var/www/acme", str(config / "nobody"))
(config / "renewal" / f"{twin}.conf").write_text(text, encoding="utf-8")
