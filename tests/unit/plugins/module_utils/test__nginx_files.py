# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are replaced together, and what is put back of a change that was cut off."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError
from ansible_collections.runbook.ops.plugins.module_utils._nginx_files import Change
from ansible_collections.runbook.ops.plugins.module_utils._nginx_plan import Conf


@pytest.fixture
def site(tmp_path):
    path = tmp_path / "site.conf"
    path.write_text("old\n")
    return path


def conf_of(*paths):
    return Conf([], {str(path): path.read_text() for path in paths if path.exists()}, lambda _pattern, _file: True)


def test_what_was_cut_off_is_put_back_whole(tmp_path, site):
    new = tmp_path / "added.conf"
    Change(tmp_path / "journal").make({str(site): "new\n", str(new): "more\n"}, conf_of(site, new), {})
    change = Change(tmp_path / "journal")
    change.put_back(change.pending())
    assert (site.read_text(), new.exists(), change.pending()) == ("old\n", False, None)


def test_what_somebody_has_written_since_is_left_alone(tmp_path, site):
    Change(tmp_path / "journal").make({str(site): "new\n"}, conf_of(site), {})
    site.write_text("mended by hand\n")
    change = Change(tmp_path / "journal")
    with pytest.raises(NginxError, match="changed by somebody else"):
        change.put_back(change.pending())
    assert site.read_text() == "mended by hand\n"


def test_the_way_back_of_a_second_change_leads_behind_the_one_that_was_cut_off(tmp_path, site):
    Change(tmp_path / "journal").make({str(site): "new\n"}, conf_of(site), {})
    change = Change(tmp_path / "journal")
    other = tmp_path / "other.conf"
    before = change.make({str(other): "text\n"}, conf_of(site, other), change.pending())
    change.put_back(before)
    assert (site.read_text(), other.exists()) == ("old\n", False)
