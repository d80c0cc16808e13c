# SPDX-License-Identifier: GPL-3.0-or-later
# `make help` says what there is. Everything that is installed or built lies in the cache, nothing in the tree.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
# A recipe is one shell that ends at the first command that fails. Only the last of 'a && b' counts as one: a line each.
.ONESHELL:

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/runbook-ops
# The first Python on PATH that is new enough, as a path: below, python3 is the one of the virtual environment, which setup replaces.
# Where there is none, python3 itself, so that setup says what is missing.
PYTHON := $(or $(shell for one in python3 python3.14 python3.13 python3.12 python3.11; do \
	path="$$("$$one" -c 'import sys; sys.version_info >= (3, 11) or sys.exit(1); print(getattr(sys, "_base_executable", sys.executable))' \
	2>/dev/null)" && echo "$$path" && break; done),python3)
export PATH := $(CACHE)/venv/bin:$(PATH)
export RUNBOOK_OPS_CACHE := $(CACHE)
# Without its overlay, a run would go to the real server.
export ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED := true
export MOLECULE_GLOB := molecule/*/molecule.yml
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

HOST := $(PYTHON) tests/hosts/hosts.py
HOSTS := owlivion-12 owlivion-13 plugspace newsletter mediasearch lifeplatform
SYSTEMS := owlivion plugspace newsletter mediasearch lifeplatform
# Which of the systems `make demo` shows.
SYSTEM := owlivion
DEMO := demo-$(SYSTEM)
SAY = @printf '\n\033[1m== %s\033[0m\n'

.PHONY: help setup demo demo-clean test images sweep static lint types unit local sanity artefact hosts integration molecule faults system \
	controller docs benchmark campaign clean tests-clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

setup: ## install what the other targets need, once
	@$(PYTHON) tools/setup.py

demo: setup ## bring a real host of SYSTEM up (owlivion, or another) and run its main job
	@case ' $(SYSTEMS) ' in *' $(SYSTEM) '*) ;; *) echo "There is no system $(SYSTEM): SYSTEM is one of $(SYSTEMS)" >&2; exit 2;; esac
	$(SAY) 'A real host of $(SYSTEM). The first time it takes some minutes.'
	@$(HOST) up $(DEMO)
	@overlay="$$($(HOST) inventory $(DEMO))"
	@job=health_check; [ $(SYSTEM) != owlivion ] || job=weekly_maintenance
	$(SAY) "$(SYSTEM): $$job"
	@ansible-playbook "playbooks/$$job.yml" -i inventories/$(SYSTEM) -i "$$overlay"
	$(SAY) 'What you can do now'
	@run='PATH=$(CACHE)/venv/bin:$$PATH ansible-playbook' on="-i inventories/$(SYSTEM) -i $$overlay"
	@cat <<-END
		Again                          make demo SYSTEM=$(SYSTEM)
		The daily checklist            $$run playbooks/health_check.yml $$on
		Everything about an incident   $$run playbooks/diagnose.yml $$on
		Let the host watch itself      $$run playbooks/install_monitoring.yml $$on
		Predict instead of act         add --check --diff to any of them
		Look around on the host        python3 tests/hosts/hosts.py ssh $(DEMO)
		Other systems                  make demo SYSTEM=plugspace; they are $(SYSTEMS)
		Throw it all away              make demo-clean
	END

demo-clean: ## throw the demo hosts away
	@$(HOST) down $(SYSTEMS:%=demo-%)

test: setup sweep ## everything that CI runs, as many parts side by side as LANES says
	@python tools/stages.py
	@[ -n "$${KEEP:-}" ] || $(MAKE) tests-clean
	$(SAY) 'All passed'

images: ## build the images of the hosts that do not exist yet
	$(SAY) 'Images'
	@$(HOST) build

sweep: ## throw hosts away that the machine was switched off under: their ports lead nowhere, and a test may be given one
	@$(HOST) sweep

tests-clean: ## throw the hosts of the tests away
	@$(HOST) down $(HOSTS) tools-12 orchard-store orchard-web drill-12 drill-13

static: lint types unit sanity artefact

lint: ## style of Python, YAML and Ansible, and generated pages that are up to date
	$(SAY) 'Lint'
	@ruff check .
	@ruff format --check --quiet .
	@yamllint .
	@ansible-lint -q
	@antsibull-changelog lint
	@python tools/role_readmes.py --check
	@python tools/coverage_table.py --check
	@python tools/probe_tables.py --check
	@python tools/fault_table.py --check

types: ## mypy over everything
	$(SAY) 'Types'
	@MYPYPATH=collections mypy --cache-dir $(CACHE)/mypy -p ansible_collections.runbook.ops.plugins
	@MYPYPATH=collections:tests/hosts:tools mypy --cache-dir $(CACHE)/mypy tests/hosts tools

unit: ## unit tests, without any host
	$(SAY) 'Unit tests'
	@PYTHONPATH=collections python -m pytest -q -n 2 tests/unit

local: ## a small sample of the long campaigns, on a private PostgreSQL
	$(SAY) 'Small sample of the campaigns'
	@PYTHONPATH=collections python -m pytest -q -n 2 tests/local

sanity: ## ansible-test sanity
	$(SAY) 'ansible-test sanity'
	@python tools/sanity.py >$(CACHE)/sanity.log 2>&1 || { tail -n 60 $(CACHE)/sanity.log; exit 1; }

artefact: ## build the collection into the cache
	$(SAY) 'Artefact'
	@ansible-galaxy collection build --force --output-path $(CACHE)/artefact

hosts: ## bring the hosts up that the tests share
	$(SAY) 'Hosts'
	@$(HOST) up $(HOSTS) tools-12

integration: ## every module against the real tools, in private directories of a host
	$(SAY) 'Integration targets'
	@$(HOST) up tools-12
	@ansible-playbook tests/integration/run.yml -i "$(CACHE)/inventory/connect/tools-12.yml"

# Its first play makes the hosts, and their inventories with them.
molecule: export ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED := false
molecule: ## roles and playbooks on the hosts: check, converge, idempotence, testinfra
	$(SAY) 'Molecule'
	@molecule reset -s default >$(CACHE)/logs/molecule-reset.log 2>&1  # forget hosts of an earlier run: these are made anew
	@molecule test --all --destroy never

faults: $(HOSTS:%=faults-%) ## wrong values, sick hosts and killed runs

# What differs from system to system is tried on all of them; the rest on Owlivion's two hosts, the long tests on one of these.
FAULTS := healthy matrix backup
faults-plugspace: FAULTS := healthy matrix maintenance_page maintenance_window deploy_plugspace
faults-newsletter: FAULTS := healthy matrix backup buckets export_import housekeeping newsletter_deploy
faults-lifeplatform: FAULTS := healthy matrix backup restore recovery_of_containers slots deploy_compose
faults-mediasearch: FAULTS := healthy matrix backup maintenance_page maintenance_window
faults-owlivion-12: FAULTS := healthy health_check runs weekly_maintenance monitoring describe_a_system round_trip maintenance_page monthly_maintenance disaster_recovery
faults-owlivion-13: FAULTS := healthy health_check weekly_maintenance matrix diagnose evening_review secrets backup pipeline

faults-%:
	$(SAY) 'Faults on $*'
	@RUNBOOK_TEST_HOSTS="$*" python -m pytest -q --durations 5 --durations-min 20 $(FAULTS:%=tests/faults/test_%.py)

system: ## the three ways to run the collection
	$(SAY) 'Ways to run'
	@$(HOST) up owlivion-12
	@overlay="$$($(HOST) inventory owlivion-12)"
	@RUNBOOK_TEST_INVENTORY="$$overlay" python -m pytest -q -n 2 --dist loadfile tests/system

controller: artefact ## the artefact under the newest ansible-core, on Debian 13
	$(SAY) 'Controller with the newest ansible-core'
	@$(HOST) up owlivion-13
	@$(HOST) run-controller tests/hosts/controller/prove.sh $(CACHE)/artefact

docs: ## renew the generated pages
	@python tools/role_readmes.py
	@python tools/coverage_table.py
	@python tools/probe_tables.py
	@python tools/fault_table.py

benchmark: setup ## measure against what is replaced; nothing is judged
	@for one in maintenance optimization rotation checklist backup verification restore_downtime deploy deploy_compose log_scan; do one="tests/benchmark/$$one.py"; \
		printf '\n== %s\n' "$$one"; python "$$one"; done

campaign: setup ## long campaigns of kills and damages
	@python tests/campaign/maintenance_kills.py --kills 60
	@python tests/campaign/repack_kills.py --kills 60
	@python tests/campaign/backup_kills.py --kills 54
	@python tests/campaign/rotation_kills.py --kills 100
	@python tests/campaign/store_kills.py --kills 60
	@python tests/campaign/offsite_faults.py --kills 60
	@python tests/campaign/backup_damages.py
	@python tests/campaign/restore_kills.py --kills 130
	@python tests/campaign/deploy_versions.py
	@for mode in fork cluster 'compose --host demo-newsletter'; do python tests/campaign/deploy_load.py --mode $$mode; done
	@python tests/campaign/deploy_kills.py --calls --rounds 66
	@python tests/campaign/deploy_kills.py
	@$(HOST) up owlivion-13
	@RUNBOOK_DEPLOY_KILLS=1 RUNBOOK_TEST_HOSTS=owlivion-13 python -m pytest -q tests/faults/test_deploy_kills.py

clean: ## throw hosts, images and the cache away
	@$(HOST) clean
	@rm -rf $(CACHE)
