# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which servers a maintenance page stands before, what is written for it, and that nothing of it stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError, load
from ansible_collections.runbook.ops.plugins.module_utils._nginx_page import (
    Wish,
    check_wish,
    plan_absent,
    plan_ready,
    texts_of,
)
from ansible_collections.runbook.ops.plugins.module_utils._nginx_plan import Conf

MAIN = "http { include conf.d/*.conf; }"
SHOP = "server {\n    server_name shop.example;\n    location / { proxy_pass http://a:1; }\n}\n"
STATIC = "server { server_name static.example; root /srv; }\n"
WISH = Wish(
    "my-shop",
    "/run/x.flag",
    (),
    "<h1>x</h1>",
    60,
    ("10.0.0.0/8",),
    ("/health", "/a.b/*"),
    "conf.d/m.conf",
    "o/m.conf",
    "o/m.html",
)


def conf_of(files):
    files = {"nginx.conf": MAIN, **files}
    globs = {"conf.d/*.conf": sorted(file for file in files if file.startswith("conf.d/"))}
    directives = load("nginx.conf", read=files.__getitem__, expand=lambda pattern: globs.get(pattern, [pattern]))
    return Conf(directives, files, lambda pattern, file: pattern == "conf.d/*.conf" and file.startswith("conf.d/"))


def after(files, plan):
    return {path: text for path, text in {**files, **plan.files}.items() if text is not None}


def test_one_line_comes_into_each_server_that_passes_requests_on_and_goes_again():
    files = {"conf.d/shop.conf": SHOP, "conf.d/static.conf": STATIC}
    ready = after(files, plan_ready(WISH, conf_of(files)))
    assert ready["conf.d/shop.conf"] == SHOP.replace("server {", "server {\n    include o/m.conf;")
    assert ready["conf.d/static.conf"] == STATIC
    assert plan_ready(WISH, conf_of(ready)).files == {}
    assert after(ready, plan_absent(WISH, conf_of(ready))) == files
    assert plan_absent(WISH, conf_of(files)).files == {}


def test_servers_can_be_named():
    files = {"conf.d/shop.conf": SHOP, "conf.d/static.conf": STATIC}
    plan = plan_ready(replace(WISH, server_names=("static.example",)), conf_of(files))
    assert "conf.d/shop.conf" not in plan.files
    assert "include o/m.conf;" in plan.files["conf.d/static.conf"]


def test_who_is_let_in_and_what_stays_open_is_written_for_nginx():
    texts = texts_of(WISH)
    assert "10.0.0.0/8 0;" in texts["conf.d/m.conf"]
    assert '"/health" 0;' in texts["conf.d/m.conf"]
    assert '"~^/a\\.b/" 0;' in texts["conf.d/m.conf"]
    assert "$runbook_ops_guest_my_shop" in texts["o/m.conf"]


@pytest.mark.parametrize(
    ("wish", "files", "said"),
    [
        (WISH, {"conf.d/s.conf": STATIC}, "no server of nginx passes requests on"),
        (
            replace(WISH, server_names=("x", "shop.example")),
            {"conf.d/s.conf": SHOP},
            "no server has the name x; there are shop.example",
        ),
        (replace(WISH, http_file="elsewhere/m.conf"), {"conf.d/s.conf": SHOP}, "nginx would not read elsewhere/m.conf"),
    ],
)
def test_what_cannot_be_is_refused(wish, files, said):
    with pytest.raises(NginxError, match=said):
        plan_ready(wish, conf_of(files))


@pytest.mark.parametrize(
    "change",
    [{"name": "a b"}, {"flag": "relative"}, {"flag": '/a";'}, {"open_paths": ("health",)}, {"allow": ("10.0.0.0/40",)}],
    ids=str,
)
def test_a_wrong_value_is_named(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        check_wish(replace(WISH, **change))
