# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of deploys on Owlivion's host: users who ask all the time, and a host that is afterwards as it was, wherever a test ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .conftest import HOSTS, Host

STATE = "/var/lib/runbook-ops/deploy/owlivion-sync-server"
# The shell that changes the host also puts it back, at the end of its input: that comes where a test is killed, too. First goes what
# says who may change the host: a controller that is still at work may not from then on. Then whatever it has running here is ended.
KEPT = r"""
set -eu
old=/var/lib/runbook-ops.old before=/root/before
keep() {
  rm -rf $before.partial; mkdir $before.partial
  cp -a /etc/nginx /home/owlivion/.pm2 $before.partial; rm -f $before.partial/.pm2/*.sock $before.partial/.pm2/pm2.pid
  if [ -e /var/lib/runbook-ops ]; then cp -a /var/lib/runbook-ops $before.partial; fi
  mv $before.partial $before
}
at_work() {
  find /proc/[0-9]*/fd -lname "$old/*" 2>/dev/null | cut -d/ -f3
  grep -lz '^RUNBOOK_OPS_STOP_AT=' /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3
}
put_back() {
  [ -e $before ] || return 0
  rm -f /root/user.asks
  if [ -e /var/lib/runbook-ops ]; then rm -rf $old; mv /var/lib/runbook-ops $old; fi
  if [ -e $before/runbook-ops ]; then cp -a $before/runbook-ops /var/lib; fi
  for pid in $(at_work); do kill -KILL "$pid" 2>/dev/null || true; done
  systemctl stop pm2-owlivion 'runbook-ops-live-*'
  rm -rf /home/owlivion/.pm2 /home/owlivion/.gitconfig /home/owlivion/versions.git /home/owlivion/owlivion-mail/owlivion-sync-server.releases
  cp -a $before/.pm2 /home/owlivion
  systemctl start pm2-owlivion
  rm -rf /run/runbook-ops/deploy /etc/tmpfiles.d/runbook-ops-live* /etc/systemd/system/runbook-ops-live* /etc/systemd/system/*.wants/runbook-ops-live*
  systemctl daemon-reload
  rm -rf /etc/nginx; cp -a $before/nginx /etc
  systemctl reload nginx
  runuser -u postgres -- psql -Xq -v ON_ERROR_STOP=1 -d owlivion_sync -c 'DROP TABLE IF EXISTS deploy_notes, deploy_half, runbook_ops_migrations'
  curl -sfk --retry 60 --retry-delay 1 --retry-all-errors -o /dev/null --resolve owlivion.com:443:127.0.0.1 https://owlivion.com/api/v1/health
  rm -rf $old $before /root/user.* /root/put_back.log
}
put_back  # what a host that was stopped in the midst of a test has kept
keep
trap 'put_back >/root/put_back.log 2>&1' EXIT
"""
# A repository that takes the place of the one on the Internet.
REPOSITORY = """
runuser -u owlivion -- bash -euc 'cd; rm -rf versions.git; git init -q --bare -b main versions.git
  git -C versions.git fast-import --force --quiet
  git config --global url.file://$HOME/versions.git.insteadOf https://github.com/babafpv/owlivion-mail' <<'END'
STREAM
END
"""
# Asks until its file is gone, and then says how often it got no right answer. How long one takes is the machine's affair.
USER = """
cat > /root/user.py <<'END'
import http.client, os, socket, ssl, time
context = ssl._create_unverified_context()
asked, wrong = 0, []
open("/root/user.asks", "w").close()
while os.path.exists("/root/user.asks"):
    asked += 1
    try:
        line = http.client.HTTPSConnection("owlivion.com", context=context, timeout=120)
        line.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", 443), 120), server_hostname="owlivion.com")
        line.request("GET", "/api/v1/health")
        status = line.getresponse().status
        line.close()
        if status != 200:
            wrong.append(status)
    except Exception as exc:
        wrong.append(repr(exc))
    time.sleep(0.05)
open("/root/user.says", "w").write(f"{asked} {len(wrong)} {wrong[:3]}")
END
rm -f /root/user.says; setsid python3 /root/user.py >/dev/null 2>&1 </dev/null &
"""
ANSWER = "for n in $(seq 1200); do [ ! -e /root/user.says ] || break; sleep 0.1; done; cat /root/user.says"
VERSION = "curl -sk --resolve owlivion.com:443:127.0.0.1 https://owlivion.com/api/v1/version"


@contextmanager
def kept(host: Host, change: str) -> Iterator[None]:
    """Change the host by a shell script, and have it be as it was afterwards, even where the test is killed."""
    command = [sys.executable, str(HOSTS), "ssh", host.name, "sudo", "bash", "-s"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(f"{KEPT}{change}\necho kept\n")
        shell.stdin.flush()
        try:
            assert "kept\n" in shell.stdout, "the script that changes the host has failed"
            yield
        finally:
            shell.stdin.close()
            ended = shell.wait(timeout=600)
    assert ended == 0, host("cat /root/put_back.log")
