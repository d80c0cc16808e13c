# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lineages of a directory laid out as certbot lays it out, with certificates from openssl."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._certbot import judge, parse_renewal
from ansible_collections.runbook.ops.plugins.modules import certbot_info
from ansible_collections.runbook.ops.plugins.modules.certbot_info import CertbotError

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates under test")

NOW = datetime.now(timezone.utc)
# As certbot 2.1 and 4.0 write it; the account is shortened.
RENEWAL = """\
# renew_before_expiry = 30 days
version = 2.1.0
archive_dir = /etc/letsencrypt/archive/{name}
cert = /etc/letsencrypt/live/{name}/cert.pem

# Options used in the renewal process
[renewalparams]
account = 0123456789abcdef
authenticator = webroot
installer = None
webroot_path = /var/www/html,
server = https://acme-v02.api.letsencrypt.org/directory
key_type = ecdsa
[[webroot_map]]
{name} = /var/www/html
server = not this one
"""


def make_lineage(config, name, *, days=90, mode=0o600):
    """Lay out a lineage of ``days``, signed by itself, with a chain of one."""
    archive, live = config / "archive" / name, config / "live" / name
    archive.mkdir(parents=True)
    live.mkdir(parents=True)
    (config / "renewal").mkdir(exist_ok=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", archive / "privkey1.pem"]
    san = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},DNS:www.{name}", "-days", str(days)]
    command = ["openssl", "req", "-x509", "-nodes", *key, *san, "-out", archive / "cert1.pem"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    text = (archive / "cert1.pem").read_text()
    (archive / "chain1.pem").write_text(text)
    (archive / "fullchain1.pem").write_text(text + text)
    (archive / "privkey1.pem").chmod(mode)
    for kind in ("cert", "chain", "fullchain", "privkey"):
        (live / f"{kind}.pem").symlink_to(Path("../..") / "archive" / name / f"{kind}1.pem")
    (config / "renewal" / f"{name}.conf").write_text(RENEWAL.format(name=name))
    return archive


def openssl(*arguments, accept=(0,)):
    done = subprocess.run(["openssl", *arguments], check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode in accept
    return done.stdout


def look(config, *names, now=NOW, program=openssl):
    return certbot_info.run(str(config), list(names), 30, 7, openssl=program, now=now)


def only(config, **options):
    return look(config, **options)["certificates"][0]


def test_a_healthy_lineage_is_described_in_full(tmp_path):
    make_lineage(tmp_path, "example.com")

    result = look(tmp_path)

    found = result["certificates"][0]
    assert found["domains"] == ["example.com", "www.example.com"]
    assert (found["days_left"], found["chain_certificates"], found["key_mode"]) in [(89, 1, "0600"), (90, 1, "0600")]
    assert (found["authenticator"], found["installer"], found["key_type"]) == ("webroot", None, "ecdsa")
    assert found["server"] == "https://acme-v02.api.letsencrypt.org/directory"
    assert found["problems"] == []
    assert result["checks"][0]["status"] == "ok"
    assert not result["changed"]


def drop_live(config, _archive):
    shutil.rmtree(config / "live" / "example.com")


def drop_renewal(config, _archive):
    (config / "renewal" / "example.com.conf").unlink()


def drop_certificate(_config, archive):
    (archive / "cert1.pem").unlink()


def drop_key(_config, archive):
    (archive / "privkey1.pem").unlink()


def open_key(_config, archive):
    (archive / "privkey1.pem").chmod(0o644)


def swap_key(config, archive):
    other = make_lineage(config.parent / "other", "example.com")
    shutil.copy(other / "privkey1.pem", archive / "privkey1.pem")


def garble_certificate(_config, archive):
    (archive / "cert1.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


def empty_certificate(_config, archive):
    (archive / "cert1.pem").write_text("")


def drop_chain(_config, archive):
    (archive / "fullchain1.pem").write_text((archive / "cert1.pem").read_text())


@pytest.mark.parametrize(
    ("damage", "problem", "status"),
    [
        pytest.param(drop_live, "there is a renewal file but no certificate in live", "critical", id="live is missing"),
        pytest.param(drop_renewal, "there is no renewal file", "warning", id="renewal is missing"),
        pytest.param(drop_certificate, "cert.pem points to a file that is not there", "critical", id="a dangling link"),
        pytest.param(drop_key, "there is no private key", "warning", id="no key"),
        pytest.param(open_key, "everybody on the host may read the private key (mode 0644)", "warning", id="open key"),
        pytest.param(swap_key, "the private key is not that of the certificate", "warning", id="another key"),
        pytest.param(garble_certificate, "cert.pem cannot be read: not a certificate", "critical", id="garbled"),
        pytest.param(empty_certificate, "cert.pem cannot be read: it holds none", "critical", id="empty"),
        pytest.param(drop_chain, "fullchain.pem holds no chain", "warning", id="no chain"),
    ],
)
def test_what_is_wrong_with_the_files_is_named(tmp_path, damage, problem, status):
    config = tmp_path / "letsencrypt"
    damage(config, make_lineage(config, "example.com"))

    result = look(config)

    assert any(line.startswith(problem) for line in result["certificates"][0]["problems"])
    assert result["checks"][0]["status"] == status
    assert problem in result["checks"][0]["detail"]


@pytest.mark.parametrize(
    ("later", "status", "detail"),
    [
        pytest.param(40, "ok", "49 days left", id="enough"),
        pytest.param(60, "warning", "29 days left", id="below the first limit"),
        pytest.param(84, "critical", "5 days left", id="below the second limit"),
        pytest.param(95, "critical", "expired 6 days ago", id="expired"),
    ],
)
def test_days_left_are_judged(tmp_path, later, status, detail):
    make_lineage(tmp_path, "example.com")
    check = look(tmp_path, now=NOW + timedelta(days=later, hours=1))["checks"][0]
    assert (check["status"], check["detail"]) == (status, detail)


def test_an_expired_certificate_is_critical_whatever_the_limits_are():
    certificate = {"name": "a", "days_left": -1, "problems": []}
    assert judge([certificate], warning=None, critical=None)[0]["status"] == "critical"


def test_without_openssl_the_key_is_not_compared(tmp_path):
    make_lineage(tmp_path, "example.com")
    assert only(tmp_path, program=None)["problems"] == []


def test_a_host_without_certbot_has_an_empty_list(tmp_path):
    for config in (tmp_path, tmp_path / "none"):
        assert look(config) == {"changed": False, "certificates": [], "checks": []}


def test_certbots_own_readme_is_no_lineage(tmp_path):
    make_lineage(tmp_path, "example.com")
    (tmp_path / "live" / "README").write_text("words")
    assert len(look(tmp_path)["certificates"]) == 1


def test_only_the_named_lineages_are_returned_and_a_missing_one_is_an_error(tmp_path):
    make_lineage(tmp_path, "a.example")
    make_lineage(tmp_path, "b.example")
    assert [found["name"] for found in look(tmp_path, "b.example")["certificates"]] == ["b.example"]
    with pytest.raises(CertbotError, match=r"no lineage 'c.example' in .* \(there is a.example, b.example\)"):
        look(tmp_path, "c.example")


def test_a_directory_that_may_not_be_read_is_an_error_and_not_an_empty_list(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(CertbotError, match="may not be read: these files belong to root, use become"):
        look(tmp_path)


def test_a_renewal_file_without_parameters_tells_nothing():
    assert set(parse_renewal("version = 2.1.0\n").values()) == {None}
