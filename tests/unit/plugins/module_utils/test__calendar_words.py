# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When an entry of the calendar is due, in words."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._calendar_words import explain


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"cron": "0 9 * * *"}, "every day at 09:00 Europe/Berlin"),
        ({"cron": "*/5 * * * *"}, "every 5 minutes"),
        ({"cron": "* * * * *"}, "every minute"),
        ({"calendar": "*:*:0/15"}, "every 15 seconds"),
        ({"cron": "0 * * * *"}, "every hour at minute 0"),
        ({"cron": "0 4 * * 1"}, "every Monday at 04:00 Europe/Berlin"),
        ({"cron": "0 4 * * 1-5"}, "every Monday to Friday at 04:00 Europe/Berlin"),
        ({"cron": "0 6,18 * * 1,3"}, "every Monday and Wednesday at 06:00 and 18:00 Europe/Berlin"),
        ({"cron": "0 3 15 * *"}, "on day 15 of the month at 03:00 Europe/Berlin"),
        ({"cron": "0 3 1 * 1"}, "on day 1 of the month at 03:00 and every Monday at 03:00 Europe/Berlin"),
        ({"cron": "*/10 8-18 * * *"}, "every day every 10 minutes of the hours 8 to 18 Europe/Berlin"),
        ({"calendar": "Mon *-*-01..07 09:00:00"}, "every first Monday of the month at 09:00 Europe/Berlin"),
        ({"calendar": "Sun *-*-08..14 04:00 UTC"}, "every second Sunday of the month at 04:00 UTC"),
        ({"calendar": "Mon *-*~07/1 11:00:00"}, "every last Monday of the month at 11:00 Europe/Berlin"),
        (
            {"calendar": "Tue *-01,04,07,10-01..07 11:00:00"},
            "every first Tuesday of January, April, July and October at 11:00 Europe/Berlin",
        ),
        ({"calendar": "*-*~01 11:00:00"}, "on day 1 from the end of the month at 11:00 Europe/Berlin"),
    ],
    ids=lambda one: one if isinstance(one, str) else None,
)
def test_a_time_is_told_in_words(entry, words):
    assert explain(entry, "Europe/Berlin") == words
