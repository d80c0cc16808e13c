# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of deploys on Owlivion's host put there and take away again: a repository, and users who ask all the time."""

from __future__ import annotations

# A repository that takes the place of the one on the Internet.
REPOSITORY = """
set -eu
runuser -u owlivion -- bash -euc 'cd; rm -rf versions.git; git init -q --bare -b main versions.git
  git -C versions.git fast-import --force --quiet
  git config --global url.file://$HOME/versions.git.insteadOf https://github.com/babafpv/owlivion-mail' <<'END'
STREAM
END
cp -a /etc/nginx /root/nginx.before
"""
AS_BEFORE = """
rm -f /root/user.asks
rm -rf /etc/nginx && mv /root/nginx.before /etc/nginx && systemctl reload nginx
runuser -u owlivion -- bash -c 'cd; pm2 delete -s owlivion-sync-server-new; pm2 save -s --force
  rm -rf versions.git owlivion-mail/owlivion-sync-server.releases; rm -f .gitconfig
  cd .pm2/logs; rm -f owlivion-sync-server-new-*.log owlivion-sync-server-*-[0-9].log'
systemctl stop 'runbook-ops-live-*' 2>/dev/null
rm -rf /var/lib/runbook-ops/deploy /run/runbook-ops/deploy /etc/tmpfiles.d/runbook-ops-live* /etc/systemd/system/runbook-ops-live*
rm -rf /etc/systemd/system/*.wants/runbook-ops-live*
systemctl daemon-reload
"""
# Asks until its file is gone, and then says how often it got no right answer.
USER = """
cat > /root/user.py <<'END'
import http.client, os, socket, ssl, time
context = ssl._create_unverified_context()
asked, wrong = 0, []
open("/root/user.asks", "w").close()
while os.path.exists("/root/user.asks"):
    asked += 1
    try:
        line = http.client.HTTPSConnection("owlivion.com", context=context, timeout=20)
        line.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", 443), 20), server_hostname="owlivion.com")
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
ANSWER = "for n in $(seq 100); do [ ! -e /root/user.says ] || break; sleep 0.1; done; cat /root/user.says"
VERSION = "curl -sk --resolve owlivion.com:443:127.0.0.1 https://owlivion.com/api/v1/version"
