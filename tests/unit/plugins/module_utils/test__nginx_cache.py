# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a directory is nginx's cache."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._nginx_cache import Found, cache_of, empty, look
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError, load

KEPT = "b7f54b2df7773722d382f4809d65029c"


def configuration(text):
    return load("/nginx.conf", read=lambda _path: text, expand=lambda _pattern: [])


def test_only_what_nginx_has_kept_goes(tmp_path):
    kept = tmp_path / "c" / "29" / KEPT
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"x" * 700)
    others = [kept.with_name(f"{KEPT}.0000000012"), tmp_path / "README", tmp_path / "c" / KEPT.upper()]
    for other in others:
        other.write_text("other")
    (tmp_path / "elsewhere").symlink_to(kept.parent)
    assert look(str(tmp_path)) == Found(1, 700)
    assert empty(str(tmp_path)) == Found(1, 700)
    assert not kept.exists()
    assert all(other.exists() for other in others)
    assert look(str(tmp_path)) == Found(0, 0)


@pytest.mark.parametrize("directive", ["proxy_cache_path", "fastcgi_cache_path"])
def test_a_cache_is_known_by_the_configuration(directive):
    conf = configuration(f"http {{ {directive} /var/cache/nginx/shop/ levels=1:2 keys_zone=a:1m; }}")
    assert cache_of(conf, "/var/cache/nginx/shop") == "/var/cache/nginx/shop/"
    with pytest.raises(NginxError, match="nginx has no cache in /var/cache/nginx: it has /var/cache/nginx/shop/"):
        cache_of(conf, "/var/cache/nginx")


def test_a_directory_that_is_not_there_yet_is_empty(tmp_path):
    assert look(str(tmp_path / "none")) == Found(0, 0)
