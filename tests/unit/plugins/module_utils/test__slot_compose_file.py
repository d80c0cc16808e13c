# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Compose file of a slot."""

from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._slot import SlotError
from ansible_collections.runbook.ops.plugins.module_utils._slot_compose_file import document, standing

SERVICE = {"name": "api", "port": 3000, "replicas": None, "compose_service": None}
PORT = {"mode": "ingress", "host_ip": "127.0.0.1", "target": 8080, "published": "3000", "protocol": "tcp"}


def config(**more):
    """Return what Compose prints of a project in which ``api`` is defined by ``more``."""
    api = {
        "image": "registry/api:1",
        "container_name": "shop-api",
        "depends_on": {"store": {"condition": "service_healthy"}},
        "environment": {"KEY": "s3cr3t", "PRICE": "5$$", "UNSET": None},
        "ports": [PORT],
        "restart": "always",
        "command": ["sh", "-c", "echo $$HOME"],
        "networks": {"default": None},
        "volumes": [
            {"type": "volume", "source": "uploads", "target": "/u"},
            {"type": "bind", "source": "/srv/n", "target": "/n"},
        ],
        **more,
    }
    return json.dumps(
        {
            "name": "shop",
            "services": {
                "api": {key: value for key, value in api.items() if value is not None},
                "store": {"image": "store"},
            },
            "networks": {"default": {"name": "shop_default", "ipam": {}}, "inner": {"name": "inner", "internal": True}},
            "volumes": {"uploads": {"name": "shop_uploads"}, "other": {"name": "shop_other"}},
        }
    )


def kept(service=SERVICE, **more):
    return standing(config(**more), service, path="/srv/shop/compose.yml")


def written(found, **more):
    known = {
        "label": "shop-api-green",
        "slot": "green",
        "release": "r1",
        "image": "registry/api@sha256:1",
        "port": 3001,
    }
    return document(found.process, **{**known, "environment": found.environment, **more})


def test_a_slot_stands_beside_what_the_project_runs():
    content = written(kept())
    [(name, service)] = content["services"].items()
    assert content["name"] == name == "shop-api-green"
    assert service["image"] == "registry/api@sha256:1"
    assert service["ports"] == [{**PORT, "published": "3001"}]
    assert service["restart"] == "unless-stopped"
    assert not {"container_name", "depends_on", "build"} & set(service)
    assert service["labels"] == {"runbook-ops.release": "r1", "runbook-ops.slot": "green"}


def test_a_slot_shares_networks_and_volumes_of_the_project_and_makes_none():
    content = written(kept())
    assert content["networks"] == {"default": {"name": "shop_default", "external": True}}
    assert content["volumes"] == {"uploads": {"name": "shop_uploads", "external": True}}


def test_what_is_kept_of_the_definition_holds_no_variable():
    found = kept()
    assert "s3cr3t" not in json.dumps(found.process)
    assert found.environment == {"KEY": "s3cr3t", "PRICE": "5$"}
    assert found.image == "registry/api:1"


def test_a_dollar_sign_stays_one_dollar_sign():
    service = written(kept())["services"]["shop-api-green"]
    assert service["environment"]["PRICE"] == "5$$"
    assert service["command"] == ["sh", "-c", "echo $$HOME"]


def test_a_slot_takes_no_address_and_no_name_in_a_network_that_the_other_one_has():
    found = kept(networks={"inner": {"ipv4_address": "10.0.0.5", "aliases": ["api"], "priority": 5}})
    content = written(found)
    assert content["services"]["shop-api-green"]["networks"] == {"inner": {"priority": 5}}
    assert content["networks"] == {"inner": {"name": "inner", "external": True}}


def test_labels_of_both_forms_are_kept():
    assert written(kept(labels=["a=b", "c"]))["services"]["shop-api-green"]["labels"]["a"] == "b"
    assert written(kept(labels={"a": "b"}))["services"]["shop-api-green"]["labels"]["a"] == "b"


@pytest.mark.parametrize(
    ("more", "target"),
    [
        pytest.param({}, 8080, id="where the port of the host leads"),
        pytest.param({"ports": None, "expose": ["9000"]}, 9000, id="what the container exposes"),
        pytest.param({"ports": None, "environment": {"PORT": "7000"}}, 7000, id="what it is told to listen on"),
    ],
)
def test_the_port_of_the_container_is_found(more, target):
    assert kept(**more).process["target"] == target


@pytest.mark.parametrize(
    ("more", "said"),
    [
        pytest.param(
            {"ports": [PORT, {**PORT, "published": "9229"}]},
            "publishes port 9229 of the host too",
            id="a second port of the host",
        ),
        pytest.param({"ports": None}, "does not publish port 3000", id="no port"),
        pytest.param({"network_mode": "host"}, "network_mode 'host'", id="the network of the host"),
        pytest.param({"deploy": {"replicas": 2}}, "has 2 containers", id="two containers"),
        pytest.param({"scale": 3}, "has 3 containers", id="three of them, in the old word"),
        pytest.param({"volumes_from": ["store"]}, "volumes_from", id="volumes of another container"),
        pytest.param(
            {"volumes": [{"type": "volume", "target": "/uploads"}]},
            "a volume without a name at /uploads",
            id="a volume that is another one in each slot",
        ),
    ],
)
def test_what_cannot_stand_twice_is_refused(more, said):
    with pytest.raises(SlotError, match=said):
        kept(**more)


def test_a_service_that_the_file_does_not_know_is_refused():
    with pytest.raises(SlotError, match="has no service 'web'; it has api, store"):
        kept({**SERVICE, "name": "web"})


def test_the_description_may_ask_for_one_container_of_several():
    assert kept({**SERVICE, "replicas": 1}, deploy={"replicas": 2, "resources": {"limits": {"memory": "1G"}}}).process[
        "service"
    ]["deploy"] == {"resources": {"limits": {"memory": "1G"}}}


def test_a_release_without_a_definition_is_refused():
    with pytest.raises(SlotError, match="does not say how it is run"):
        document({}, label="x", slot="green", release="r1", image="i", port=1, environment={})


FRONTED = {**SERVICE, "replicas": 2, "deploy": {"strategy": "blue_green", "front": "store"}}
IN_PLACE = {**SERVICE, "deploy": {"strategy": "in_place"}}


def fronted(*, front=None, **more):
    """Return what is kept of two containers behind another service of the file."""
    content = json.loads(config(**{"ports": None, **more}))
    content["services"]["store"] = {"image": "store:1", "ports": [PORT], "networks": {"default": None}, **(front or {})}
    text = json.dumps(content)
    return standing(text, FRONTED, path="/srv/shop/compose.yml", identity=lambda image: f"number of {image}")


def test_several_containers_stand_behind_a_front_of_their_own():
    content = written(fronted(), replicas=0)
    services = content["services"]
    assert set(services) == {"shop-api-green", "shop-api-green-front"}
    behind, front = services["shop-api-green"], services["shop-api-green-front"]
    assert (behind["scale"], behind.get("ports")) == (2, None)
    assert front["image"] == "number of store:1"
    assert front["ports"] == [{**PORT, "published": "3001"}]
    # By the name of the service the front finds the containers of this slot, and those of no other.
    assert behind["networks"]["runbook-ops-slot"] == {"aliases": ["api"]}
    assert set(front["networks"]) == {"runbook-ops-slot"}
    assert content["networks"]["runbook-ops-slot"] == {"name": "shop-api-green_runbook-ops-slot"}
    assert front["labels"]["runbook-ops.release"] == "r1"
    assert front["depends_on"] == {"shop-api-green": {"condition": "service_started"}}  # or it would not find its name


def test_what_was_scaled_for_the_load_stays_scaled():
    assert written(fronted(), replicas=5)["services"]["shop-api-green"]["scale"] == 5


@pytest.mark.parametrize(
    ("more", "said"),
    [
        pytest.param({"front": {"environment": {"KEY": "s3cr3t"}}}, "store .* has variables", id="secrets"),
        pytest.param({"front": {"scale": 2}}, "store .* has 2 containers", id="two of them"),
        pytest.param({"ports": [PORT]}, "api .* publishes a port, though store leads to it", id="a way around it"),
    ],
)
def test_a_front_that_cannot_stand_twice_is_refused(more, said):
    with pytest.raises(SlotError, match=said):
        fronted(**more)


def test_what_takes_the_place_of_the_old_release_has_all_its_ports_and_its_name():
    public, other = {**PORT, "host_ip": "192.0.2.7"}, {**PORT, "published": "9229"}
    content = written(kept(IN_PLACE, ports=[public, other]), port=3000)
    service = content["services"]["shop-api-green"]
    assert service["ports"] == [public, other]
    assert service["networks"] == {"default": {"aliases": ["api"]}}
