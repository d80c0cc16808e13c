# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Buckets, Prometheus and alerts over real sockets. The documents are those of Prometheus 2.42, Alertmanager 0.25 and moto 5.2."""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils.probes import alerts, bucket, prometheus, queue_http


def options(probe, **raw):
    return read_options({"probe": "x", "section": "S", **raw}, probe.OPTIONS, where="probes[0]")


@pytest.fixture
def site():
    """A web server: ``pages`` by path, each a status and a document or text; ``asked`` keeps paths and headers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append((self.path, dict(self.headers)))
            page = server.pages.get(self.path.partition("?")[0], (404, "nothing"))
            status, content = page(self) if callable(page) else page
            body = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.pages, server.asked = {}, []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def checks_of(probe, asked):
    return {check["id"]: check for check in probe.judge(probe.measure(asked), asked)}


# Buckets

KEYS = {"access_key": "AKIA1", "secret_key": "s3cr3t"}


def listing(*objects, token=None):
    parts = "".join(
        f"<Contents><Key>{key}</Key><LastModified>{moment}</LastModified><Size>{size}</Size></Contents>"
        for key, moment, size in objects
    )
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return f"<ListBucketResult>{more}{parts}</ListBucketResult>"


COPY = "db/daily_20261121T020000Z"


def ago(seconds):
    return datetime.fromtimestamp(time.time() - seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_a_bucket_that_lists_is_reachable_and_no_key_is_shown(site):
    site.pages["/b"] = (200, listing())
    checks = checks_of(bucket, options(bucket, bucket="b", endpoint=site.url, **KEYS))
    assert {key: check["status"] for key, check in checks.items()} == {"bucket:b": "ok"}
    path, headers = site.asked[0]
    assert path == "/b?list-type=2&max-keys=1&prefix="
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIA1/")
    assert "s3cr3t" not in json.dumps([checks, headers])


@pytest.mark.parametrize(
    ("objects", "status", "words"),
    [
        pytest.param([("a", 90, 10), ("dir/", 1, 0)], "ok", "s old, 10 B", id="young and large enough"),
        pytest.param([("a", 4000, 10)], "critical", "1h 6m old", id="too old"),
        pytest.param([("a", 90, 10), ("b", 60, 2)], "critical", "at least 5 B", id="the newest too small"),
        pytest.param([], "critical", "no object in b/db/", id="none"),
        pytest.param(
            [(f"{COPY}/dump", 9, 40), (f"{COPY}/SHA256SUMS", 8, 1), (f"{COPY}/COMPLETE.json", 7, 1)],
            "ok",
            "s old, 42 B",
            id="all files of a copy count together",
        ),
        pytest.param(
            [("db/old", 4000, 10), (f"{COPY}/dump", 9, 40)],
            "critical",
            "db/old: 1h 6m",
            id="a copy that is not complete",
        ),
    ],
)
def test_the_newest_object_is_young_and_large_enough(site, objects, status, words):
    site.pages["/b"] = (200, listing(*((key, ago(age), size) for key, age, size in objects)))
    raw = {"prefix": "db/", "max_age_seconds": 3600, "min_size_bytes": 5}
    check = checks_of(bucket, options(bucket, bucket="b", endpoint=site.url, **raw, **KEYS))["bucket:b:newest"]
    assert check["status"] == status
    assert words in check["detail"]


@pytest.mark.parametrize(
    ("page", "status", "words"),
    [
        pytest.param((200, {"finished_at": "{90}"}), "ok", "the last run finished 1m 3", id="young"),
        pytest.param((200, {"finished_at": "{4000}"}), "critical", "the last run finished 1h 6m ago", id="late"),
        pytest.param((404, "<Error><Code>NoSuchKey</Code></Error>"), "critical", "no run has finished yet", id="never"),
        pytest.param((200, "{"), "critical", "is damaged", id="damaged"),
    ],
)
def test_a_mirror_is_late_when_the_last_run_is(site, page, status, words):
    number, content = page
    if isinstance(content, dict):
        content = {key: ago(int(text.strip("{}"))).replace("Z", "+00:00") for key, text in content.items()}
    site.pages.update({"/b": (200, listing()), "/b/db/.bucket_sync.json": (number, content)})
    raw = {"prefix": "db/", "mirror_max_age_seconds": 3600}
    check = checks_of(bucket, options(bucket, bucket="b", endpoint=site.url, **raw, **KEYS))["bucket:b:mirror"]
    assert check["status"] == status
    assert words in check["detail"]


def test_what_a_mirror_says_of_itself_is_not_its_newest_object(site):
    site.pages["/b"] = (200, listing(("db/a", ago(4000), 10), ("db/.bucket_sync.json", ago(5), 600)))
    raw = {"prefix": "db/", "max_age_seconds": 3600}
    check = checks_of(bucket, options(bucket, bucket="b", endpoint=site.url, **raw, **KEYS))["bucket:b:newest"]
    assert check["status"] == "critical"


def test_a_long_listing_is_read_to_its_end_and_a_longer_one_is_not_called_old(site):
    def page(request):
        last = "continuation-token" in request.path
        return 200, listing(("new", ago(5), 9)) if last else listing(("old", ago(9999), 9), token="t=")

    site.pages["/b"] = page
    raw = {"bucket": "b", "endpoint": site.url, "max_age_seconds": 3600, **KEYS}
    assert checks_of(bucket, options(bucket, **raw))["bucket:b:newest"]["detail"].startswith("new: ")
    check = checks_of(bucket, options(bucket, **raw, most_objects=1))["bucket:b:newest"]
    assert (check["status"], "most_objects" in check["remedy"]) == ("unknown", True)


def test_a_missing_bucket_is_critical_and_a_wrong_key_unknown(site):
    asked = options(bucket, bucket="b", endpoint=site.url, **KEYS)
    site.pages["/b"] = (404, "<Error><Code>NoSuchBucket</Code></Error>")
    check = checks_of(bucket, asked)["bucket:b"]
    assert (check["status"], "no bucket b" in check["detail"]) == ("critical", True)
    site.pages["/b"] = (403, "<Error><Code>InvalidAccessKeyId</Code></Error>")
    with pytest.raises(ProbeError, match="b: HTTP 403 InvalidAccessKeyId: the access key is not known"):
        bucket.measure(asked)
    with pytest.raises(ProbeError, match="not a URL"):
        bucket.measure(options(bucket, bucket="b", endpoint="nowhere", **KEYS))


@pytest.mark.parametrize(
    ("key", "answer", "status"),
    [
        pytest.param("versioning", (200, "<V><Status>Enabled</Status></V>"), "ok", id="versions"),
        pytest.param("versioning", (200, "<V><Status>Suspended</Status></V>"), "warning", id="no versions any more"),
        pytest.param("versioning", (501, "<Error><Code>NotImplemented</Code></Error>"), "unknown", id="not told"),
        pytest.param("encryption", (200, "<R><SSEAlgorithm>AES256</SSEAlgorithm></R>"), "ok", id="encrypted"),
        pytest.param(
            "encryption",
            (404, "<Error><Code>ServerSideEncryptionConfigurationNotFoundError</Code></Error>"),
            "warning",
            id="not encrypted",
        ),
    ],
)
def test_a_setting_is_looked_at_where_it_must_be(site, key, answer, status):
    site.pages["/b"] = lambda request: answer if f"?{key}=" in request.path else (200, listing())
    checks = checks_of(bucket, options(bucket, bucket="b", endpoint=site.url, **{key: True}, **KEYS))
    assert (checks["bucket:b"]["status"], checks[f"bucket:b:{key}"]["status"]) == ("ok", status)


# Prometheus


def target(job, instance, health, error=""):
    return {"labels": {"job": job, "instance": instance}, "health": health, "lastError": error, "scrapeUrl": "http://x"}


REFUSED = 'Get "http://127.0.0.1:9100/metrics": dial tcp 127.0.0.1:9100: connect: connection refused'
UP, DOWN = target("api", "a:1", "up"), target("node", "a:9100", "down", REFUSED)


def watch(site, targets, rules=()):
    site.pages["/-/ready"] = (200, "Prometheus Server is Ready.\n")
    site.pages["/api/v1/targets"] = (200, {"status": "success", "data": {"activeTargets": targets}})
    site.pages["/api/v1/rules"] = (200, {"status": "success", "data": {"groups": [{"rules": list(rules)}]}})


@pytest.mark.parametrize(
    ("targets", "raw", "status", "words"),
    [
        pytest.param([UP], {}, "ok", "1 up", id="all up"),
        pytest.param([UP, DOWN], {}, "warning", "node/a:9100 (connection refused)", id="one down"),
        pytest.param([DOWN], {}, "critical", "1 of 1 down", id="all down"),
        pytest.param([], {}, "critical", "no target", id="an empty list"),
        pytest.param([UP], {"jobs": ["api", "node"]}, "warning", "no target in job node", id="a job without targets"),
        pytest.param([UP, target("n", "i", "unknown")], {}, "ok", "1 not asked yet", id="just started"),
    ],
)
def test_every_target_must_be_up(site, targets, raw, status, words):
    watch(site, targets)
    checks = checks_of(prometheus, options(prometheus, url=site.url, **raw))
    assert checks["prometheus:Prometheus:targets"]["status"] == status
    assert words in checks["prometheus:Prometheus:targets"]["detail"]
    assert checks["prometheus:Prometheus"]["status"] == "ok"


def test_a_rule_that_cannot_be_evaluated_is_named(site):
    rules = [{"name": "A", "health": "ok"}, {"name": "B", "health": "err", "lastError": "many-to-many not allowed"}]
    watch(site, [UP], rules)
    check = checks_of(prometheus, options(prometheus, url=site.url))["prometheus:Prometheus:rules"]
    assert (check["status"], check["detail"]) == ("warning", "1 of 2 fail: B (many-to-many not allowed)")


def test_a_prometheus_that_is_not_ready_is_critical_and_one_that_asks_for_a_login_unknown(site):
    asked = options(prometheus, url=site.url, user="ops", password="pw")
    site.pages["/-/ready"] = (503, "Service Unavailable")
    assert checks_of(prometheus, asked)["prometheus:Prometheus"]["status"] == "critical"
    site.pages["/-/ready"] = (401, "Unauthorized")
    with pytest.raises(ProbeError, match="HTTP 401"):
        prometheus.measure(asked)
    assert site.asked[-1][1]["Authorization"] == "Basic b3BzOnB3"
    watch(site, [{"health": "up"}])
    with pytest.raises(ProbeError, match="not Prometheus"):
        prometheus.measure(asked)


def test_nobody_there_is_critical(site):
    site.server_close()
    site.shutdown()
    for probe, source in ((prometheus, {}), (alerts, {}), (alerts, {"source": "alertmanager"})):
        (check,) = checks_of(probe, options(probe, url=site.url, **source)).values()
        assert (check["status"], "refused" in check["detail"]) == ("critical", True)


# Alerts


def alert(name, severity="warning", state="firing", **labels):
    labels = {"alertname": name, "severity": severity, **labels}
    since = "2026-11-21T11:51:22.917593442Z"
    return {
        "labels": labels,
        "annotations": {"summary": f"{name} on it"},
        "state": state,
        "activeAt": since,
        "value": "1",
    }


def managed(name, silenced=(), inhibited=(), **labels):
    status = {"state": "active", "silencedBy": list(silenced), "inhibitedBy": list(inhibited)}
    labels = {"alertname": name, "severity": "critical", **labels}
    return {"labels": labels, "annotations": {}, "status": status, "startsAt": "2026-11-21T11:51:22.917+01:00"}


def alerts_of(site, found, **raw):
    if raw.get("source") == "alertmanager":
        site.pages["/api/v2/alerts"] = (200, found)
    else:
        site.pages["/api/v1/alerts"] = (200, {"status": "success", "data": {"alerts": found}})
    checks = checks_of(alerts, options(alerts, url=site.url, name="A", **raw))
    return {key.removeprefix("alerts:A:"): check for key, check in checks.items()}


def test_a_time_is_read_with_its_zone_and_nanoseconds():
    assert alerts.moment("2026-11-21T11:51:22.917593442Z") == alerts.moment("2026-11-21T12:51:22+01:00")


@pytest.mark.parametrize(
    ("one", "raw", "expected"),
    [
        pytest.param(alert("Cpu", instance="a:1"), {}, {"Cpu{a:1}": "warning"}, id="warning"),
        pytest.param(alert("Cpu", "critical"), {}, {"Cpu": "critical"}, id="critical"),
        pytest.param(alert("Cpu", "P1"), {"severities": {"P1": "critical"}}, {"Cpu": "critical"}, id="their own words"),
        pytest.param(alert("Cpu", "info"), {"severities": {"P1": "critical"}}, {"Cpu": "ok"}, id="information"),
        pytest.param(alert("Cpu", state="pending"), {}, {}, id="pending"),
        pytest.param(alert("Cpu"), {"ignore": ["Cpu"]}, {}, id="ignored"),
        pytest.param(alert("Cpu", env="dev"), {"labels": {"env": "prod"}}, {}, id="of another system"),
    ],
)
def test_alerts_count_by_severity_state_and_labels(site, one, raw, expected):
    checks = alerts_of(site, [one], **raw)
    assert checks.pop("alerts:A")["status"] == "ok"
    assert {key: check["status"] for key, check in checks.items()} == expected


def test_the_watchdog_must_fire_and_is_no_fault(site):
    checks = alerts_of(site, [alert("Watchdog", "none")], expect=["Watchdog", "Deadman"])
    assert {key: check["status"] for key, check in checks.items()} == {
        **{"alerts:A": "ok", "Watchdog": "ok", "Deadman": "critical"},
    }
    assert checks["alerts:A"]["detail"] == "none fires"


def test_what_is_silenced_or_inhibited_is_told_apart(site):
    found = [managed("Disk", silenced=["x"]), managed("Net", inhibited=["y"]), managed("Cpu")]
    checks = alerts_of(site, found, source="alertmanager")
    assert checks["alerts:A"]["detail"] == "1 firing, silenced: Disk, inhibited: Net"
    assert {key: check["status"] for key, check in checks.items()} == {"alerts:A": "ok", "Cpu": "critical"}


def test_a_watchdog_that_is_silenced_shows_nothing(site):
    checks = alerts_of(site, [managed("Watchdog", silenced=["x"])], source="alertmanager", expect=["Watchdog"])
    assert checks["Watchdog"]["status"] == "critical"


def test_a_flood_of_alerts_shows_the_worst_and_counts_the_rest(site):
    found = [alert("Warn", instance=str(n)) for n in range(30)] + [alert("Crit", "critical")]
    checks = alerts_of(site, found, most=5)
    assert len(checks) == 6
    assert checks["Crit"]["status"] == "critical"
    assert (checks["alerts:A"]["status"], checks["alerts:A"]["value"]) == ("warning", 31)


@pytest.mark.parametrize("source", ["prometheus", "alertmanager"])
def test_the_answer_of_something_else_is_a_reason(site, source):
    with pytest.raises(ProbeError, match="not that of"):
        alerts_of(site, [{"x": 1}], source=source)


# Queue statistics, through the same door


def test_statistics_are_asked_with_the_token_and_once_without_it(site):
    def page(request):
        return (200, {"mail": {"waiting": 1}}) if "Authorization" in request.headers else (401, "who are you")

    site.pages["/stats"] = page
    asked = options(queue_http, url=f"{site.url}/stats", name="media", token="t0ken")
    checks = checks_of(queue_http, asked)
    assert {key: check["status"] for key, check in checks.items()} == {
        **{"queue:mail:waiting": "ok", "queue_http:media:access": "ok"},
    }
    assert [headers.get("Authorization") for _path, headers in site.asked] == ["Bearer t0ken", None]
    site.pages["/stats"] = (200, {"mail": {"waiting": 1}})
    assert checks_of(queue_http, asked)["queue_http:media:access"]["status"] == "warning"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        pytest.param((401, "no"), "does not tell this account", id="wrong token"),
        pytest.param((302, ""), "HTTP 302, right is 200", id="a redirect"),
        pytest.param((500, "boom"), "HTTP 500", id="their fault"),
        pytest.param((200, "<html>"), "not JSON", id="a page"),
        pytest.param((200, "[" * 100000), "not JSON", id="a trap for parsers"),
    ],
)
def test_why_there_are_no_statistics_is_told(site, page, words):
    site.pages["/stats"] = page
    with pytest.raises(ProbeError, match=words):
        queue_http.measure(options(queue_http, url=f"{site.url}/stats"))
