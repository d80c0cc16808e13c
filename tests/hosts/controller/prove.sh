#!/bin/sh
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Prove the built collection in the controller image: installed by itself, on a host that is up. prove.sh ARTEFACTS [HOST]
set -eu
artefacts="$1"
inventory="$RUNBOOK_OPS_CACHE/inventory/${2:-owlivion-13}.yml"
repository="$PWD"

cd "$(mktemp -d)" # the checkout's own settings and collection stay out of it
export ANSIBLE_COLLECTIONS_PATH="$PWD" ANSIBLE_STDOUT_CALLBACK=runbook.ops.runbook ANSIBLE_PIPELINING=1
export ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=true # without the second inventory, a run would go to the real server
ansible --version | head -1
ansible-galaxy collection install --offline --collections-path "$PWD" "$artefacts"/runbook-ops-*.tar.gz

for kind in module filter callback; do
    ansible-doc --type "$kind" --list runbook.ops
done
PYTHONPATH="$PWD" python -m pytest -q --rootdir "$repository" -c "$repository/pyproject.toml" "$repository/tests/unit/plugins"
for playbook in health_check weekly_maintenance; do
    ansible-playbook "runbook.ops.$playbook" -i "$repository/inventories/owlivion" -i "$inventory" --check --diff
done
