# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugspace's two applications are deployed while users ask: a cluster that takes requests, and a server of WebSockets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from ._matrix import HOSTS, NAMES, ROOT

sys.path.insert(0, str(ROOT / "tests" / "load"))
from load import summary

QUICK = {"ops_deployment": {"watch": "4s", "rollback_slowdown_percent": 2000}}
# What the applications on the host are, as a repository: with a build, with migrations, and with their dependencies at hand. Nobody
# but root may read the certificates that npm is told of on some of the machines that make test hosts.
REPOSITORY = r"""
set -eu
chmod -f a+r /etc/ssl/registry-ca.crt || true
cp -a /etc/nginx /root/nginx.before
runuser -u plugspace -- bash -eus <<'END'
cd
ln -sfn plugspace/node_modules node_modules
git config --global url.file://$HOME/versions.insteadOf git@github.com:plugspace/plugspace.git
git init -q -b main versions; cd versions
git config user.name SRE; git config user.email sre@example.com
cp -r ../plugspace/{api.js,voice.js,ecosystem.config.js,lib} .
mkdir migrations
cat >migrations/migrate.js <<'JS'
const fs = require('node:fs');
const { MongoClient } = require('mongodb');
const [, uri] = /^MONGODB_URI=(.*)$/m.exec(fs.readFileSync(`${__dirname}/../.env`, 'utf8'));
const client = new MongoClient(uri);
(async () => {
  const db = client.db('plugspace');
  const done = new Set((await db.collection('migrations').find().toArray()).map(({ _id }) => _id));
  const pending = fs.readdirSync(__dirname).filter((name) => /^\d.*\.js$/.test(name) && !done.has(name)).sort();
  for (const name of pending) {
    if (process.argv[2] !== 'apply') { console.log(name); continue; }
    await require(`./${name}`)(db);
    await db.collection('migrations').insertOne({ _id: name });
  }
})().then(() => client.close(), (error) => { console.error(error.message); process.exit(1); });
JS
echo "module.exports = (db) => db.collection('spaces').updateMany({}, { \$set: { seats: 10 } });" >migrations/0001_seats.js
for version in 2.4.0 2.5.0; do
  echo '{"name": "plugspace", "version": "'$version'", "private": true, "scripts": {"build": "node --check api.js"}}' >package.json
  npm install --silent --package-lock-only --no-audit --no-fund --offline
  git add .; git commit -q -m $version; git tag $version
done
END
"""
AS_BEFORE = r"""
rm -f /root/load.*
runuser -u plugspace -- node - <<'END'
process.chdir('/home/plugspace/plugspace');
const { MongoClient } = require('/home/plugspace/plugspace/node_modules/mongodb');
const [, uri] = /^MONGODB_URI=(.*)$/m.exec(require('node:fs').readFileSync('.env', 'utf8'));
const client = new MongoClient(uri);
(async () => {
  const db = client.db('plugspace');
  await db.collection('migrations').deleteMany({});
  await db.collection('spaces').updateMany({}, { $unset: { seats: 1 } });
})().finally(() => client.close());
END
rm -rf /etc/nginx && mv /root/nginx.before /etc/nginx && systemctl reload nginx
runuser -u plugspace -- bash -s <<'END'
cd ~/plugspace
for app in plugspace-api plugspace-voice; do pm2 delete -s $app; pm2 delete -s $app-new; done
pm2 start -s ecosystem.config.js; pm2 save -s --force
cd; rm -rf versions plugspace.releases plugspace-voice.releases node_modules .gitconfig
END
systemctl stop 'runbook-ops-live-*' 2>/dev/null
rm -rf /var/lib/runbook-ops/deploy /run/runbook-ops/deploy /etc/tmpfiles.d/runbook-ops-live* /etc/systemd/system/runbook-ops-live*
rm -rf /etc/systemd/system/*.wants/runbook-ops-live*
systemctl daemon-reload
for n in $(seq 100); do ! curl -sfko /dev/null --resolve plugspace.io:443:127.0.0.1 https://plugspace.io/api/health || break; sleep 0.2; done
"""
VERSION = "curl -sk --resolve plugspace.io:443:127.0.0.1 https://plugspace.io/api/version"
USERS = "--host plugspace.io --tls --path /api/version --rate 15 --websockets 3 --socket /voice --ping --requests 300 --end /root/load.end"
# All that a prediction must leave alone.
PROCESSES = r"""
runuser -u plugspace -- pm2 jlist | python3 -c 'import json, sys
for one in json.load(sys.stdin): print(one["name"], one["pid"], one["pm2_env"]["restart_time"])'
"""
STATE = rf"""{PROCESSES}
find /etc/nginx /etc/systemd/system /home/plugspace/*.releases /var/lib/runbook-ops/deploy \
  -type f -not -path '*/.git-mirror*' -not -name work.lock 2>/dev/null | xargs sha256sum | sort
"""
# How long the switch of the last rollback took, with its proof.
SWITCHED = """
python3 -c 'import json, sys
record = json.loads(open(sys.argv[1]).readlines()[-1])
print(*(one["seconds"] for one in record["changes"] if one["action"].startswith("made live")))' $(ls /var/lib/runbook-ops/runs/*-rollback-* | tail -n 1)
"""


class Played(NamedTuple):
    """What a playbook came to."""

    code: int
    text: str
    seconds: float


class Server(NamedTuple):
    """A host of Plugspace."""

    name: str
    inventory: str

    def __call__(self, script: str) -> str:
        """Run a script on the host as root and return what it prints."""
        command = [sys.executable, str(HOSTS), "ssh", self.name, "sudo", "bash", "-s"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{done.stderr}{done.stdout}\n{script}"
        return done.stdout


@pytest.fixture(scope="module", params=[name for name in NAMES if name.removeprefix("demo-") == "plugspace"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    hosts = [sys.executable, str(HOSTS)]
    subprocess.run([*hosts, "up", request.param], check=True)
    asked = subprocess.run([*hosts, "inventory", request.param], check=True, capture_output=True, text=True)
    found = Server(request.param, asked.stdout.strip())
    found(REPOSITORY)
    try:
        yield found
    finally:
        found(AS_BEFORE)


def play(server: Server, playbook: str, *options: str) -> Played:
    command = ["ansible-playbook", f"playbooks/{playbook}.yml", "-i", "inventories/plugspace", "-i", server.inventory]
    began = time.monotonic()
    ended = subprocess.run(
        [*command, "-e", json.dumps(QUICK), *options],
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Played(ended.returncode, ended.stdout + ended.stderr, round(time.monotonic() - began, 1))


def deploy(server: Server, version: str, *options: str, service: str = "plugspace-api") -> Played:
    return done(play(server, "deploy", "-e", f"deploy_version={version}", "-e", f"deploy_service={service}", *options))


def done(played: Played) -> Played:
    assert played.code == 0, played.text
    return played


def serves(server: Server) -> str:
    return str(json.loads(server(VERSION))["version"])


@contextmanager
def users(server: Server) -> Iterator[dict[str, Any]]:
    """Have users ask meanwhile, and tell then what they noticed."""
    told: dict[str, Any] = {}
    server(f"cat >/root/load.py <<'END'\n{(ROOT / 'tests/load/load.py').read_text()}\nEND\nrm -f /root/load.end")
    ask = [
        sys.executable,
        str(HOSTS),
        "ssh",
        server.name,
        "sudo",
        "python3",
        "/root/load.py",
        "127.0.0.1:443",
        *USERS.split(),
    ]
    asking = subprocess.Popen(ask, stdout=subprocess.PIPE, text=True)
    try:
        yield told
    finally:
        server("touch /root/load.end")
        output = asking.communicate(timeout=60)[0]
    told.update(json.loads(output))


def test_users_notice_nothing_of_a_new_api_and_a_new_voice_server(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    before = server(STATE)
    deploy(server, "2.4.0", "--check", "--diff")
    assert server(STATE) == before

    # What a migration of the data needs: a backup of now, restored as a test.
    done(play(server, "backup", "-e", '{"backup_names": ["state"]}'))
    done(play(server, "verify_backups", "-e", "backup_drill=all"))
    staged = deploy(server, "2.4.0", "-e", "deploy_until=staged")
    assert serves(server) == "2.3.0"
    assert "0001_seats.js" in staged.text, staged.text
    done(play(server, "promote", "-e", "deploy_service=plugspace-api"))
    assert serves(server) == "2.4.0"

    with users(server) as first:  # of the voice server: nginx reloads once, which ends idle connections, and no call
        voice = deploy(server, "2.4.0", service="plugspace-voice")
    with users(server) as told:
        second = deploy(server, "2.5.0")
        assert serves(server) == "2.5.0"
        back = done(play(server, "rollback", "-e", "rollback_service=plugspace-api"))
        assert serves(server) == "2.4.0"
    stands = server(PROCESSES)
    deploy(server, "2.4.0")  # it prunes what nobody goes back to, and touches nothing that runs
    assert server(PROCESSES) == stands

    with capsys.disabled():
        print(
            f"\ndeploys of {voice.seconds} and {second.seconds} s, back in {back.seconds} s, {server(SWITCHED).strip()} s of it the switch"
        )
        print(summary(told))
    assert first["failed"] == first["closed_idle"], (first["failures"], voice.text)
    assert told["requests"] >= 300
    assert told["failed"] == 0, (told["failures"], second.text, back.text)
    for sockets in (first["websockets"], told["websockets"]):
        assert not {"cut_off", "not_opened", "told_to_go"} & set(sockets), sockets
