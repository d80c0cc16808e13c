# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of nginx's configuration, and where they stand."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError, load, walk

FILES = {
    "nginx.conf": 'pid /run/x.pid;\nhttp {\n  log_format a \'$x "q";\'\n   "two";\n  include sites/*;\n}\n',
    "sites/a": "server{listen 80;# no ; here }\nlocation ~ \\.php$ { proxy_pass http://${up}:3000/x; }\n}\n",
    "sites/b": 'map $a $b { default 0; "~^a{2}" 1; }',
}


def read_all(files):
    found = load(
        "nginx.conf",
        read=files.__getitem__,
        expand=lambda pattern: sorted(f for f in files if f.startswith(pattern[:-1])),
    )
    return [(found.place, found.name.text, found.texts()) for found, _above in walk(found)]


def test_every_directive_is_found_with_its_place_in_its_own_file():
    assert read_all(FILES) == [
        ("nginx.conf:1", "pid", ["/run/x.pid"]),
        ("nginx.conf:2", "http", []),
        ("nginx.conf:3", "log_format", ["a", '$x "q";', "two"]),
        ("sites/a:1", "server", []),
        ("sites/a:1", "listen", ["80"]),
        ("sites/a:2", "location", ["~", "\\.php$"]),
        ("sites/a:2", "proxy_pass", ["http://${up}:3000/x"]),
        ("sites/b:1", "map", ["$a", "$b"]),
        ("sites/b:1", "default", ["0"]),
        ("sites/b:1", "~^a{2}", ["1"]),
        ("nginx.conf:5", "include", ["sites/*"]),
    ]


def test_a_word_can_be_found_again_in_the_text():
    text = "a 'b c' d\\;e;"
    (directive,) = load("f", read=lambda _path: text, expand=list)
    assert [text[word.start : word.end] for word in (directive.name, *directive.arguments)] == ["a", "b c", "d\\;e"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http {\n server {\n}\n", "f:1: the block http does not end"),
        ("a b\n}", "f:2: a '}' that is not expected: a ';' or a '{' before it is missing"),
        ("a;\nb c", "f:2: b does not end with a ';'"),
        ("a 'b;\n", "f:1: a quote that does not end, or a lonely backslash"),
        (";", "f:1: a ';' without a directive"),
        ("{}", "f:1: a block without a name"),
        (
            "a;\ncontent_by_lua_block { x }",
            "f:2: content_by_lua_block holds Lua, which is not read here: move it into a file",
        ),
        ("include f;", "f:1: 30 includes within each other; does a file include itself?"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(text, said):
    with pytest.raises(NginxError) as refused:
        load("f", read=lambda _path: text, expand=lambda pattern: [pattern])
    assert str(refused.value) == said
