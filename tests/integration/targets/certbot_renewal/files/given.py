# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give a lineage a twin whose challenges nobody can see, in the place given: it costs no order.

The lineage itself gets hooks, of which one fails, and an nginx that serves it, whose configuration also lies there broken.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

place, name, twin = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
config = place / "le"
for part in ("archive", "live"):
    shutil.copytree(config / part / name, config / part / twin, symlinks=True)
for link in (config / "live" / twin).glob("*.pem"):
    target = str(link.readlink()).replace(name, twin)
    link.unlink()
    link.symlink_to(target)
text = (config / "renewal" / f"{name}.conf").read_text(encoding="utf-8")
text = text.replace(f"/{name}", f"/{twin}").replace("/var/www/acme", str(config / "nobody"))
(config / "renewal" / f"{twin}.conf").write_text(text, encoding="utf-8")
hooks = f'pre_hook = touch {place}/pre-hook-ran\nrenew_hook = sh -c "systemctl restart no-such.service; exit 3"\n'
known = config / "renewal" / f"{name}.conf"
known.write_text(
    known.read_text(encoding="utf-8").replace("[renewalparams]\n", f"[renewalparams]\n{hooks}"), encoding="utf-8"
)
nginx = f"""\
pid {place}/nginx.pid;
error_log {place}/error.log;
events {{}}
http {{
    access_log off;
    server {{
        listen 127.0.0.1:39443 ssl;
        ssl_certificate {config}/live/{name}/fullchain.pem;
        ssl_certificate_key {config}/live/{name}/privkey.pem;
    }}
}}
"""
(place / "nginx.conf").write_text(nginx, encoding="utf-8")
(place / "broken.conf").write_text(f"nonsense on;\n{nginx}", encoding="utf-8")
