"""Lines of keys in TOML text: the scan must find exactly the keys that tomllib finds, where they stand."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.errors import ProfileError
from bringup.profile.toml_lines import KeyPath, dotted, key_lines, read_toml

EXAMPLE = '''\
# [not.a.table]
title = """
[also.not] = 1
"""
"quoted key" = 'a # b'

[serial] # comment
sol_port = { value = 0x2f8, "grade" = "HIGH", source = "a, b = c ] }" }
baud.value = 115200
baud.grade = "MED"

[[nics]]
name = "one"
bars = [
    { index = 0 }, # first
    { index = 3, size = 1 },
]
[nics.id]
value = "8086:1521"
[[nics]]
name = 'two'
[[nics.pins]]
pin = "A"
[a.b.c]
d = 1979-05-27T07:32:00Z
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("quoted key",), 5),
        (("serial",), 7),
        (("serial", "sol_port", "source"), 8),
        (("serial", "baud"), 9),
        (("serial", "baud", "grade"), 10),
        (("nics",), 12),
        (("nics", 0), 12),
        (("nics", 0, "bars"), 14),
        (("nics", 0, "bars", 1), 16),
        (("nics", 0, "bars", 1, "size"), 16),
        (("nics", 0, "id"), 18),
        (("nics", 0, "id", "value"), 19),
        (("nics", 1), 20),
        (("nics", 1, "pins", 0, "pin"), 23),
        (("a",), 24),
        (("a", "b", "c"), 24),
        (("a", "b", "c", "d"), 25),
    ],
)
def test_line_of_each_kind_of_key(path: KeyPath, line: int) -> None:
    assert key_lines(EXAMPLE)[path] == line


def test_finds_exactly_what_tomllib_finds() -> None:
    assert set(key_lines(EXAMPLE)) == set(paths_of(tomllib.loads(EXAMPLE)))


def paths_of(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    found: list[KeyPath] = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths_of(inner, (*path, key))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            found += paths_of(inner, (*path, position))
    return found


# Text that looks like TOML of its own must not lead the scan astray.
TEXTS = st.one_of(
    st.sampled_from(["[x]", "a = 1", "# no", "}", "]", '"', "'", "\\", "\n[t]\nk = 2\n", '""', "'''", ""]),
    st.text(max_size=8),
)
SCALARS = st.one_of(
    st.integers(-9, 10**6), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), TEXTS
)
KEYS = st.one_of(st.text("abc-_9", min_size=1, max_size=3), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=10,
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=5)


def write_text(draw: st.DrawFn, text: str) -> str:
    style = draw(st.sampled_from(["basic", "literal", "multiline"]))
    if style == "literal" and "'" not in text and text.isprintable():
        return f"'{text}'"
    basic = json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    if style == "multiline" and text.isprintable():
        body = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"""\n{body}"""' if draw(st.booleans()) else f'"""{body}"""'
    return basic


def write_key(text: str) -> str:
    bare = text and all(c in "abcdefghijklmnopqrstuvwxyz-_0123456789" for c in text)
    return text if bare else json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_value(draw: st.DrawFn, value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{write_key(k)} = {write_value(draw, v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        gap = draw(st.sampled_from([" ", "\n  ", " # ], } a = 1\n"]))
        return "[" + gap + f",{gap}".join(write_value(draw, v) for v in value) + gap + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return write_text(draw, value) if isinstance(value, str) else repr(value)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A TOML document with every way of writing a table."""
    lines: list[str] = []

    def table(prefix: str, body: dict[str, Any]) -> None:
        later: list[tuple[str, Any, str]] = []
        for key, value in body.items():
            style = draw(st.sampled_from(["plain", "header", "dotted"]))
            name = write_key(key)
            is_tables = isinstance(value, list) and value and all(isinstance(v, dict) for v in value)
            if style == "header" and (isinstance(value, dict) or is_tables):
                later.append((prefix + name, value, style))
            elif style == "dotted" and isinstance(value, dict) and value:
                lines.extend(f"{name} . {write_key(k)} = {write_value(draw, v)}" for k, v in value.items())
            else:
                lines.append(f"{name} = {write_value(draw, value)}")
        for name, value, _ in later:
            for element in value if isinstance(value, list) else [value]:
                lines.append(f"[[{name}]] # [x]" if isinstance(value, list) else f"[ {name} ]")
                table(name + ".", element)

    table("", draw(TABLES))
    return "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n# end"]))


@settings(max_examples=300, deadline=None)
@given(documents())
def test_any_document_gives_the_same_keys_as_tomllib(text: str) -> None:
    data = tomllib.loads(text)
    lines = key_lines(text)
    assert set(lines) == set(paths_of(data))
    rows = text.split("\n")
    for path, line in lines.items():
        if isinstance(path[-1], str) and path[-1].isalnum():
            assert path[-1] in rows[line - 1]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a = 1\nb = \n", ":2: not valid TOML: invalid value"),
        (b"a = 1\nb = [1,\n", ":2: not valid TOML: "),
        (b"a = 1\na = 2\n", ":2: not valid TOML: cannot overwrite a value"),
        (b"a = 1\r\nb = ?\r\n", ":2: not valid TOML: invalid value"),
        (b"a = 1\nb = '\xff'\n", ":2: not UTF-8 text (byte 0xff)"),
        (b"a = " + b"[" * 5000, ": lists or tables are nested too deeply"),
        (b"a = " + b"1" * 5000, ": not valid TOML: "),
        (b"#" * (1 << 20) + b"#", " is larger than 1 MiB"),
    ],
)
def test_unreadable_files_are_told_by_line(tmp_path: Path, raw: bytes, expected: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(raw)
    with pytest.raises(ProfileError) as caught:
        read_toml(path)
    assert f"{path}{expected}" in caught.value.message


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode), documents().map(str.encode)))
def test_any_bytes_give_a_document_or_a_profile_error(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(raw)
    try:
        document = read_toml(path)
    except ProfileError as error:
        assert error.message.startswith(str(path))
    else:
        assert document.place(("no", "such", 3)).endswith(":1")


def test_a_folder_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"cannot read .*: Is a directory"):
        read_toml(tmp_path)


def test_dotted() -> None:
    assert dotted(("nics", 2, "id", "value")) == "nics[2].id.value"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a = 1\nb = [1, 2\nc = 3\n", "mend line 3: c = 3"),
        ("[boards.x\n", "mend line 1: [boards.x"),
        ("\tinterface = br0\n", "mend line 1: interface = br0"),
        ("a = '" + "x" * 500, "mend line 1: a = '" + "x" * 115),
        ('bmc = { password = "hunter2 }', None),
        ("token = x", None),
    ],
)
def test_a_line_that_is_no_toml_is_shown_unless_it_may_hold_a_secret(
    tmp_path: Path, text: str, hint: str | None
) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(text)
    with pytest.raises(ProfileError) as caught:
        read_toml(path)
    assert caught.value.hint == hint
