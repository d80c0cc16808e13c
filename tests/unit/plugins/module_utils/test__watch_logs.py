# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import load
from ansible_collections.runbook.ops.plugins.module_utils._watch_logs import Log, Seen, logs_of


def line(status, *, agent="curl/8", more="", at=None):
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(at or time.time()))
    return f'203.0.113.9 - - [{stamp}] "GET /a HTTP/1.1" {status} 12 "-" "{agent}"{more}\n'


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param(line(200), (1, 0, []), id="combined"),
        pytest.param(line(502, more=" rt=0.250"), (1, 1, [0.25]), id="with a time"),
        pytest.param(line(500, agent="runbook.ops"), (0, 0, []), id="our own"),
        pytest.param('{"status": "503", "request_time": "1.500"}', (1, 1, [1.5]), id="json"),
        pytest.param("something else", (0, 0, []), id="no line of a request"),
    ],
)
def test_a_line_tells_a_status_and_perhaps_a_time(text, wanted):
    seen = Seen()
    seen.add(text.encode())
    assert (seen.count, seen.failed, seen.times) == wanted


def test_new_lines_are_counted_once_across_a_rotation_and_a_half_written_line(tmp_path):
    path, seen = tmp_path / "access.log", Seen()
    path.write_text(line(200) * 3)
    log = Log(str(path))
    log.begin()
    with path.open("a") as file:
        file.write(line(500) + line(200)[:30])
    log.read_new(seen)
    assert (seen.count, seen.failed) == (1, 1)
    path.rename(tmp_path / "access.log.1")
    path.write_text(line(502))
    log.read_new(seen)
    log.read_new(seen)
    assert (seen.count, seen.failed) == (2, 2)


def test_only_the_last_minutes_before_count(tmp_path):
    path, seen = tmp_path / "access.log", Seen()
    path.write_text(line(500, at=time.time() - 3600) * 50 + line(200) * 2)
    Log(str(path)).read_since(60, seen)
    assert (seen.count, seen.failed) == (2, 0)


def test_a_log_that_is_not_there_tells_nothing(tmp_path):
    seen, log = Seen(), Log(str(tmp_path / "none"))
    log.begin()
    log.read_new(seen)
    log.read_since(60, seen)
    assert seen.count == 0


SITES = """http {
    access_log /var/log/all.log;
    upstream shop { server 127.0.0.1:3000; }
    server { access_log /var/log/shop.log json; access_log syslog:server=a; location / { proxy_pass http://shop; } }
    server { access_log /var/log/other.log; location / { proxy_pass http://127.0.0.1:4000; } }
    server { location / { proxy_pass http://127.0.0.1:3000/api; } }
    server { access_log off; location / { proxy_pass http://shop; } }
}"""


def test_the_logs_are_those_of_the_sites_that_pass_requests_to_it():
    directives = load("nginx.conf", read=lambda _path: SITES, expand=lambda pattern: [pattern])
    assert logs_of(directives, ("127.0.0.1:3000",)) == (("/var/log/shop.log", "/var/log/all.log"), ())


@pytest.mark.parametrize(
    ("site", "used"),
    [
        pytest.param("location / { proxy_pass http://127.0.0.1:4000; }", False, id="of another application"),
        pytest.param("location / { fastcgi_pass unix:/run/php.sock; }", False, id="of PHP"),
        pytest.param("access_log /var/log/b.log; location / { proxy_pass http://b; }", True, id="with its own log"),
        pytest.param("return 301 https://shop.example/;", True, id="that passes nothing on"),
    ],
)
def test_a_log_in_which_another_site_writes_too_tells_nothing_of_this_service(site, used):
    ours = "server { location /api { proxy_pass http://127.0.0.1:3000; } location / { proxy_pass http://front; } }"
    text = f"http {{ {ours} server {{ {site} }} }}"
    directives = load("nginx.conf", read=lambda _path: text, expand=lambda pattern: [pattern])
    default = ("/var/log/nginx/access.log",)
    assert logs_of(directives, ("127.0.0.1:3000",)) == ((default, ()) if used else ((), default))
