"""A .camkes file as written: every byte kept, spans that are exact, edits that touch nothing else."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import UsageError
from bringup.camkes.text.syntax import Document, Span, read_text, replace
from bringup.camkes.text.tokens import MAX_CHARACTERS, MAX_DEPTH
from tests.camkes import CORPUS, FILES, mutated

# Files whose mistake only the grammar or cpp can see read well as text.
TEXT_MISTAKES = (
    "96-no-semicolon 97-string-open 98-comment-open 99-brackets a0-if-open a8-else-alone"
)  # fmt: skip


def corpus(name: str) -> Document:
    path = CORPUS / f"{name}.camkes"
    return read_text(path.read_bytes(), path.name)


def in_assembly(settings: str) -> str:
    return f"assembly {{ composition {{}} configuration {{\n{settings}\n}} }}\n"


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.stem not in TEXT_MISTAKES.split()], ids=lambda p: p.stem
)
def test_every_byte_comes_back_and_every_token_has_its_span(path: Path) -> None:
    data = path.read_bytes()
    document = read_text(data, path.name)
    assert document.encode() == data
    position = 0
    for token in document.tokens:
        assert token.start == position
        assert document.text[token.start : token.end] == token.text
        position = token.end
    assert position == len(document.text)


@pytest.mark.parametrize("name", TEXT_MISTAKES.split())
def test_a_mistake_names_place_and_line(name: str) -> None:
    path = CORPUS / f"{name}.camkes"
    with pytest.raises(UsageError) as caught:
        read_text(path.read_bytes(), path.name)
    message, _, line = caught.value.message.partition("\n    ")
    place = re.match(rf"{re.escape(path.name)}:(\d+):(\d+): ", message)
    assert place
    if line:
        assert path.read_text().split("\n")[int(place[1]) - 1] == line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a "b', 'x:1:3: a string starts here and is not closed with "\n    a "b'),
        ("\n /* *", "x:2:2: a comment starts here and is not closed with */"),
        ("#define A /* b\n", "x:1:11: a comment starts here"),
        ("#if 0\n/* b\n#endif", "x:2:1: a comment starts here"),
        ("{ ( ] }", r"x:1:5: ']' stands here while the '(' of line 1 is open"),
        ("\n  }", "x:2:3: '}' closes nothing"),
        ("x {\n [ ]", "x:1:3: '{' is not closed with '}'"),
        ("#if A\n#else\n#elif B\n#endif", "x:3:1: #elif stands here after the #else in line 2"),
        ("#endif", "x:1:1: #endif stands here without an #if before it"),
        ("#if A\n", "x:1:1: #if A is not closed with #endif"),
        (in_assembly("vm0.a = ;"), "x:2:7: vm0.a is given no value"),
        (in_assembly("vm0.a = 1"), "x:2:9: vm0.a is not closed with ';' after this"),
        (
            in_assembly("vm0.a = 1\nvm0.b = 2;"),
            "x:2:9: vm0.a is not closed with ';' after this\n    vm0.a = 1",
        ),
        (in_assembly("vm0.a = [1];\nvm0.b = [2]\nvm0.c = [3];"), "x:3:11: vm0.b is not closed"),
        ("(" * (MAX_DEPTH + 1), f"x:1:{MAX_DEPTH + 1}: more than {MAX_DEPTH} brackets are open here"),
        ("#if A\n" * (MAX_DEPTH + 1), f"x:{MAX_DEPTH + 1}:1: more than {MAX_DEPTH} #if stand inside"),
        (" " * (MAX_CHARACTERS + 1), "more than 4 MiB is no .camkes file"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_text(text, "x")
    assert message in caught.value.message


def test_a_shown_line_cannot_steer_the_terminal_and_is_short() -> None:
    with pytest.raises(UsageError) as caught:
        read_text("a" * 5000 + '\x1b[2J\r "' + "b" * 5000, "x")
    line = caught.value.message.partition("\n")[2]
    assert "\x1b" not in line
    assert len(line) < 120
    assert '"' in line


def test_settings_with_all_their_spans() -> None:
    text = in_assembly('  vm0 . irqs = [ {"name": "a" "b", 7: [1 , 2]}, /* c */ M(0, x), N, 1 + 2, ];')
    document = read_text(text, "x")
    (setting,) = document.assignments
    assert setting.key == ("vm0", "irqs")
    assert (setting.place.line, setting.place.column) == (2, 3)
    assert document.slice(setting.span) == text[text.index("vm0") : text.index("];") + 2]
    assert document.slice(setting.value.span) == text[text.index("[ {") : text.index("];") + 1]
    assert [(n.kind, document.slice(n.span)) for n in setting.value.items] == [
        ("dict", '{"name": "a" "b", 7: [1 , 2]}'),
        ("call", "M(0, x)"),
        ("name", "N"),
        ("expression", "1 + 2"),
    ]
    first = setting.value.items[0]
    assert [(e.key, document.slice(e.span), document.slice(e.value.span)) for e in first.entries] == [
        ("name", '"name": "a" "b"', '"a" "b"'),
        ("7", "7: [1 , 2]", "[1 , 2]"),
    ]
    name, seven = first.entry("name"), first.entry("7")
    assert name is not None and name.value.kind == "string"
    assert seven is not None and [n.kind for n in seven.value.items] == ["number", "number"]
    assert first.entry("no") is None
    assert len(list(setting.value.walk())) == 9


def test_a_reference_is_a_setting_too() -> None:
    (setting,) = read_text(in_assembly("vm0.a <- vm1.b;"), "x").assignments
    assert (setting.operator, setting.value.kind) == ("<-", "expression")


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("02-macro-statements", ["vm0.guest_ram_mb"]),
        ("08-condition-around-settings", ["vm0.heap_size", "vm0.guest_ram_mb"] * 2),
        ("13-trailing-comments", ["vm0.a", "vm0.b"]),
        ("14-scattered", ["vm0.a", "vm1.a", "vm0.b", "vm1.b", "vm0.c"]),
        ("36-misleading-comments", ["vm0.a", "vm0.b"]),
        ("37-comments-inside", ["vm0.a"]),
        ("43-pasted-names", []),
        ("45-odd-spacing", ["vm0.a", "vm1.a"]),
        ("46-uneven-branches", ["vm0.a", "vm0.b", "vm0.b"]),
        ("51-hash-behind", ["vm0.a", "vm0.c"]),
        ("32-other-declarations", ["vm0.a"]),
        ("33-attribute-types", ["vm0.n"]),
        ("25-components-inside", ["loader.size", "vm0.a"]),
    ],
)
def test_the_settings_that_are_written(name: str, names: list[str]) -> None:
    assert [".".join(setting.key) for setting in corpus(name).assignments] == names


def test_conditions_over_and_inside_settings() -> None:
    around = corpus("08-condition-around-settings").assignments
    assert [[str(c) for c in setting.conditions] for setting in around] == [
        ["#ifdef BIG in line 8"],
        ["#ifdef BIG in line 8"],
        ["#else (of #ifdef BIG) in line 11"],
        ["#else (of #ifdef BIG) in line 11"],
    ]
    assert not any(setting.condition_inside for setting in around)
    (irqs,) = corpus("06-condition-in-list").assignments
    assert irqs.condition_inside and not irqs.conditions
    document = corpus("06-condition-in-list")
    assert [len(document.conditions.at(item.span.start)) for item in irqs.value.items] == [0, 1, 1]
    nested = corpus("34-nested-conditions").find("vm0", "a")
    assert [[c.directive for c in setting.conditions] for setting in nested] == [
        ["#ifdef OUTER", "#if INNER == 1"],
        ["#ifdef OUTER", "#elif INNER == 2", "#ifndef OTHER"],
        ["#ifdef OUTER", "#else"],
    ]
    assert not corpus("34-nested-conditions").find("vm0", "b")[0].conditions


def test_an_include_guard_is_no_condition() -> None:
    (setting,) = corpus("35-guarded").assignments
    assert setting.conditions == ()
    for text in (
        "#ifndef A\n#define B\n" + in_assembly("x.y = 1;") + "#endif\n",
        "#ifndef A\n#define A\n" + in_assembly("x.y = 1;") + "#else\n#endif\n",
        "#ifndef A\n#define A\n" + in_assembly("x.y = 1;") + "#endif\n;",
        "#ifdef A\n#define A\n" + in_assembly("x.y = 1;") + "#endif\n",
    ):
        assert len(read_text(text, "x").assignments[0].conditions) == 1, text


def test_any_directive_inside_a_setting_is_told() -> None:
    (setting,) = read_text(in_assembly('vm0.a = [\n#include "more.h"\n];'), "x").assignments
    assert setting.directive_inside and not setting.condition_inside


def test_branches_that_do_not_balance() -> None:
    first, *others = corpus("46-uneven-branches").assignments
    assert first.condition_inside
    assert all(setting.condition_inside or setting.conditions for setting in others)
    text = "#ifdef A\nassembly { configuration {\n#else\nassembly { configuration {\n#endif\nx.y = 1;\n} }\n"
    (setting,) = read_text(text, "x").assignments
    assert setting.where == "assembly"


def test_where_a_setting_stands() -> None:
    text = """vm0.p = 1;
component C { configuration { x.c = 1; } }
assembly main { composition { group g { component A a; } component { configuration { x.i = 1; } } z; }
    configuration named { vm0.a = 1; } }
configuration free { vm0.f = 1; }
procedure P { int f(in int x); }
"""
    found = read_text(text, "x").assignments
    assert {s.attribute: (s.where, s.block.name if s.block else None) for s in found} == {
        "p": ("piece", None),
        "c": ("component", None),
        "i": ("component", None),
        "a": ("assembly", "named"),
        "f": ("free", "free"),
    }


def test_disabled_text_is_no_text() -> None:
    text = in_assembly(
        "#if 0\nit's \"odd { vm0.a = 1;\n# if X\n  #else\n /* #endif */\n # endif\n #else\nvm0.b = 2;\n#endif"
    )
    document = read_text(text, "x")
    assert [setting.attribute for setting in document.assignments] == ["b"]
    assert "".join(token.text for token in document.tokens) == text


def test_insertions_are_whole_lines_with_the_indent_of_the_block() -> None:
    tabs, windows, smallest, tight = (
        corpus(name) for name in ("11-tabs", "12-crlf", "01-smallest", "45-odd-spacing")
    )
    (place,) = smallest.insertions()
    assert place.indent == "        "
    new = replace(smallest, [(Span(place.offset, place.offset), f"{place.indent}vm0.b = 2;\n")])
    assert new == smallest.text.replace("4096;\n", "4096;\n        vm0.b = 2;\n", 1)
    assert tabs.insertions()[0].indent == "\t\t\t"
    assert windows.newline == "\r\n"
    assert smallest.newline == "\n"
    (place,) = tight.insertions()
    assert tight.text[place.offset :] == "}}\n"
    (empty,) = read_text("assembly {\n\tconfiguration {\n\t}\n}\n", "x").insertions()
    assert (empty.offset, empty.indent) == (28, "\t    ")
    under = read_text("#ifdef A\nconfiguration {\n}\n#endif\n", "x").insertions()
    assert [str(condition) for condition in under[0].conditions] == ["#ifdef A in line 1"]


def test_replacing_a_value_changes_nothing_else() -> None:
    document = corpus("13-trailing-comments")
    first, second = document.assignments
    new = replace(document, [(second.value.items[1].span, "0x7f"), (first.value.span, "[ 5 ]")])
    assert new == document.text.replace("vm0.a = 1; // six", "vm0.a = [ 5 ]; // six").replace(
        "0x11  /* eight", "0x7f  /* eight"
    )


def test_no_changes_are_no_change() -> None:
    document = corpus("41-bytes")
    assert document.encode(replace(document, [])) == document.encode()


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (Span(3, 2), ""),
        (Span(-1, 2), ""),
        (Span(0, 9999), ""),
        (Span(1, 3), "x"),  # inside a comment
        (Span(10, 11), "x"),  # the middle of a word
        (Span(16, 17), "1 /* open"),
        (Span(16, 17), '"open'),
        (Span(16, 17), "[1"),
        (Span(16, 17), "1 // all behind it"),
        (Span(16, 16), "9"),  # runs into the number behind it
        (Span(17, 17), "x\n#if A\n"),
    ],
)
def test_a_change_that_would_touch_more_is_refused(span: Span, text: str) -> None:
    document = read_text("/* */abc.defg = 1;", "x")
    assert document.text[16:17] == "1"
    with pytest.raises(ValueError):
        replace(document, [(span, text)])


def test_changes_must_not_overlap() -> None:
    document = read_text("a.b = [1, 2];", "x")
    (setting,) = document.assignments
    with pytest.raises(ValueError, match="overlaps"):
        replace(document, [(setting.value.span, "3"), (setting.value.items[0].span, "4")])
    with pytest.raises(ValueError, match="two changes"):
        replace(document, [(Span(0, 0), "x.y = 1;"), (Span(0, 0), "x.z = 1;")])


@given(data=st.binary(max_size=400))
def test_any_bytes_come_back_or_are_refused(data: bytes) -> None:
    try:
        document = read_text(data, "x")
    except UsageError as error:
        assert error.message.startswith("x:")
    else:
        assert document.encode() == data
        assert "".join(token.text for token in document.tokens) == document.text


SIGNS = [
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ";",
    ",",
    ".",
    "=",
    ":",
    "<-",
    '"',
    "'",
    "/*",
    "*/",
    "//",
    "\\\n",
    "\n",
    "\r\n",
]
SIGNS += [
    "#if A\n",
    "#if 0\n",
    "#else\n",
    "#endif\n",
    "#define X \\\n",
    "assembly",
    "configuration",
    "vm0.a =",
    "1",
    "\t",
]


@given(parts=st.lists(st.sampled_from(SIGNS), max_size=60))
def test_any_row_of_signs_is_read_or_refused(parts: list[str]) -> None:
    text = "".join(parts)
    try:
        document = read_text(text, "x")
    except UsageError:
        return
    assert "".join(token.text for token in document.tokens) == text
    for setting in document.assignments:
        assert document.slice(setting.span).startswith(setting.instance)
        for node in setting.value.walk():
            assert setting.span.start < node.span.start < node.span.end <= setting.span.end


@given(data=st.data())
def test_mutated_files_are_read_or_refused(data: st.DataObject) -> None:
    path, content = mutated(data, SIGNS)
    try:
        document = read_text(content, path.name)
    except UsageError as error:
        assert error.message.startswith(path.name)
    else:
        assert document.encode() == content


HOSTILE = [
    "#/*",
    '#"\\"',
    "/*",
    '"',
    "//\\\n",
    "#if A\n#endif\n",
    "{",
    "[],",
    "vm0.a=",
    "((((",
    "\\\n",
    '#if 0\n"/*',
]
HOSTILE += [
    "<",
    "0x",
    "a.b=1;",
    "#define X \\\n",
    "/* */",
    "''",
    "a.b=[",
    "#endif\n",
    "import <",
    "M(",
    "\n",
    "#if 0\n/",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_takes_linear_time(piece: str) -> None:
    def seconds(count: int) -> float:
        text = (piece * count)[: MAX_CHARACTERS // 16]
        start = time.process_time()
        with contextlib.suppress(UsageError):
            read_text(text, "x")
        return time.process_time() - start

    # Less than a second where time is linear, minutes where it is not.
    assert seconds(MAX_CHARACTERS // 16 // len(piece)) < 60
