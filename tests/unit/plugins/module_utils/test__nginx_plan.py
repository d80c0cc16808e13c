# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is changed in nginx's files for an upstream, what is left as it is, and what is refused."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError, load
from ansible_collections.runbook.ops.plugins.module_utils._nginx_plan import (
    Conf,
    Wish,
    check_wish,
    named_upstream,
    plan_absent,
    plan_present,
    servers_of,
)

MAIN = "http { include conf.d/*.conf; }"
SITE = "server {\n  location / { proxy_pass http://localhost:3000/api; proxy_set_header Host $host; }\n}\n"
WISH = Wish("app", ("127.0.0.1:3001",), ("localhost:3000",), "app.servers", "conf.d/app.conf")


def conf_of(files):
    files = {"nginx.conf": MAIN, **files}
    globs = {"conf.d/*.conf": sorted(file for file in files if file.startswith("conf.d/"))}
    read = []

    def text_of(path):
        read.append(path)
        return files[path]

    directives = load("nginx.conf", read=text_of, expand=lambda pattern: globs.get(pattern, [pattern]))
    texts = {path: text for path, text in files.items() if path in read or path in (WISH.file, WISH.block_file)}
    return Conf(directives, texts, lambda pattern, file: pattern == "conf.d/*.conf" and file.startswith("conf.d/"))


def after(files, plan):
    return {path: text for path, text in {**files, **plan.files}.items() if text is not None}


def test_a_literal_address_becomes_the_upstream_and_nothing_else_changes():
    files = after({"conf.d/site.conf": SITE}, plan_present(WISH, conf_of({"conf.d/site.conf": SITE})))
    assert files["conf.d/site.conf"] == SITE.replace("localhost:3000", "app")
    assert "upstream app {\n    include app.servers;\n}" in files["conf.d/app.conf"]
    assert servers_of(files["app.servers"]) == ["127.0.0.1:3001"]


def test_the_second_time_there_is_nothing_to_do_and_another_server_changes_one_file():
    files = after({"conf.d/site.conf": SITE}, plan_present(WISH, conf_of({"conf.d/site.conf": SITE})))
    assert plan_present(WISH, conf_of(files)).files == {}
    other = Wish("app", ("127.0.0.1:3000",), ("localhost:3000",), WISH.file, WISH.block_file)
    assert list(plan_present(other, conf_of(files)).files) == ["app.servers"]


def test_an_upstream_written_by_hand_keeps_what_else_it_says():
    site = "upstream app { least_conn; server localhost:3000 weight=2; keepalive 8; }\nserver { location / { proxy_pass http://app; } }"
    plan = plan_present(WISH, conf_of({"conf.d/site.conf": site}))
    assert plan.files["conf.d/site.conf"] == site.replace("server localhost:3000 weight=2;", "include app.servers;")
    assert "conf.d/app.conf" not in plan.files


@pytest.mark.parametrize(
    "site",
    [SITE, "upstream app { server localhost:3000; keepalive 8; }\nserver { location / { proxy_pass http://app; } }"],
    ids=["literal", "upstream"],
)
def test_taken_back_the_configuration_names_the_server_of_now(site):
    files = after({"conf.d/site.conf": site}, plan_present(WISH, conf_of({"conf.d/site.conf": site})))
    plan = plan_absent(WISH, conf_of(files))
    assert after(files, plan) == {"conf.d/site.conf": site.replace("localhost:3000", "127.0.0.1:3001")}
    assert plan_absent(WISH, conf_of(after(files, plan))).files == {}


def test_several_sites_are_taken_over_together():
    files = {"conf.d/a.conf": SITE, "conf.d/b.conf": SITE, "conf.d/c.conf": SITE.replace("3000", "4000")}
    assert set(plan_present(WISH, conf_of(files)).files) == {
        "conf.d/a.conf",
        "conf.d/b.conf",
        "conf.d/app.conf",
        "app.servers",
    }


@pytest.mark.parametrize(
    ("site", "notes"),
    [
        (SITE, 0),
        (SITE.replace("proxy_set_header Host $host;", ""), 1),
        (SITE.replace("proxy_set_header Host $host;", "proxy_set_header X-A 1;"), 1),
        ("proxy_set_header Host $host;" + SITE.replace("proxy_set_header Host $host;", ""), 0),
        ("proxy_set_header Host $host;" + SITE.replace("proxy_set_header Host $host;", "proxy_set_header X-A 1;"), 1),
    ],
)
def test_it_is_said_where_the_application_will_see_another_host(site, notes):
    main = "http { " + site + " include conf.d/*.conf; }"
    conf = conf_of({"nginx.conf": main})
    assert len(plan_present(WISH, conf).notes) == notes


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"conf.d/s.conf": "server { set $up localhost:3000; proxy_pass http://$up; }" + SITE},
            "conf.d/s.conf:1: set names localhost:3000",
        ),
        (
            {"conf.d/s.conf": "upstream other { server localhost:3000; }" + SITE},
            "conf.d/s.conf:1: server names localhost:3000",
        ),
        (
            {"conf.d/s.conf": "upstream app { server localhost:4000; }"},
            "has the server localhost:4000, which replaces does not name",
        ),
        (
            {"conf.d/s.conf": "upstream app { server localhost:3000; }\nupstream app { }"},
            "conf.d/s.conf:2: a second upstream app",
        ),
        (
            {"conf.d/s.conf": SITE.replace("3000", "30001")},
            "nothing in the configuration passes requests to app or localhost:3000",
        ),
        (
            {"nginx.conf": "http { include sites/x; }", "sites/x": SITE},
            "nginx would not read conf.d/app.conf: its http block includes sites/x",
        ),
    ],
    ids=["variable", "other upstream", "other server", "twice", "nowhere", "not read"],
)
def test_what_is_not_understood_is_refused(files, said):
    with pytest.raises(NginxError) as refused:
        plan_present(WISH, conf_of(files))
    assert said in str(refused.value)


def test_two_servers_cannot_be_written_in_the_place_of_one_address():
    two = Wish("app", ("127.0.0.1:3001", "127.0.0.1:3002"), ("localhost:3000",), WISH.file, WISH.block_file)
    files = after({"conf.d/site.conf": SITE}, plan_present(two, conf_of({"conf.d/site.conf": SITE})))
    with pytest.raises(NginxError, match="switch it to one"):
        plan_absent(two, conf_of(files))


@pytest.mark.parametrize(
    ("name", "server"),
    [
        ("a b", "x:1"),
        ("app", "x"),
        ("app", "x:1;"),
        ("app", "unix:relative"),
        ("app", "unix:/a b"),
        ("app", "http://x:1"),
    ],
)
def test_a_wrong_name_or_address_is_refused(name, server):
    with pytest.raises(ValueError, match=r"name is|servers holds"):
        check_wish(Wish(name, (server,), (), "f", "b"))


@pytest.mark.parametrize("server", ["127.0.0.1:3000", "[::1]:3000", "app-green:80", "unix:/run/app/live.sock"])
def test_an_address_that_nginx_knows_is_taken(server):
    check_wish(Wish("app", (server,), (), "f", "b"))


UNIX = Wish(
    "app",
    ("unix:/run/live.sock",),
    ("localhost:3000", "127.0.0.1:3001"),
    "app.servers",
    "conf.d/app.conf",
    ("keepalive",),
)


def test_connections_that_nginx_keeps_go_where_they_would_stay_with_an_old_server():
    site = "upstream app { server localhost:3000; keepalive 8; }\n" + SITE.replace("localhost:3000", "app")
    plan = plan_present(UNIX, conf_of({"conf.d/site.conf": site}))
    assert "keepalive" not in plan.files["conf.d/site.conf"]
    assert "conf.d/site.conf:1: keepalive goes from upstream app" in plan.actions
    again = plan_present(UNIX, conf_of(after({"conf.d/site.conf": site}, plan)))
    assert (again.files, again.actions) == ({}, [])


def test_an_address_in_our_own_file_of_servers_is_understood():
    files = after({"conf.d/site.conf": SITE}, plan_present(WISH, conf_of({"conf.d/site.conf": SITE})))
    plan = plan_present(UNIX, conf_of(files))  # 127.0.0.1:3001 stands in app.servers, and is to be replaced
    assert plan.actions == ["app points to unix:/run/live.sock instead of 127.0.0.1:3001"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("upstream shop { server 127.0.0.1:3000 weight=2; }", "shop"),
        ("upstream shop { server 127.0.0.1:3000; } upstream other { server 127.0.0.1:3000; }", None),
        ("upstream other { server 127.0.0.1:4000; }", None),
        ("server { }", None),
    ],
)
def test_the_upstream_of_a_person_is_found_by_its_server(text, name):
    assert named_upstream(conf_of({"conf.d/site.conf": text}), ("127.0.0.1:3000",)) == name
