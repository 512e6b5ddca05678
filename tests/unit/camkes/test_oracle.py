"""Random configurations and random edits, judged by cpp and by a grammar that is not ours.

Each example starts cpp three times, so the fast run takes few of them and the slow one many.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bringup.camkes.app.load import load_application
from bringup.camkes.text.syntax import Document, Node, Span, read_text, replace
from tests import camkes_oracle as oracle
from tests.camkes import FILES, INCLUDE, expected, load, plain

# What the oracle does not follow: imports, parts by name, components inside components.
BEYOND = ("25-components-inside", "26-named-parts", "30-import-beside", "31-import-angle")
AGREED = [path for path in FILES if expected(path).error is None and path.stem not in BEYOND]

Plain = int | str | list["Plain"] | dict[str | int, "Plain"]


@pytest.mark.parametrize("path", AGREED, ids=lambda path: path.stem)
def test_both_grammars_agree_on_the_corpus(path: Path) -> None:
    text = oracle.preprocessed(path, INCLUDE, expected(path).defines)
    theirs = [(instance, attribute, told(value)) for instance, attribute, value in oracle.settings(text)]
    ours = [(s.instance, s.attribute, plain(s.value)) for s in load(path).settings if s.applied]
    assert [(i, a, v.split(":")[0] if unknown(v) else v) for i, a, v in ours] == theirs


def unknown(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("query:", "reference:"))


def told(value: object) -> object:
    """Return the oracle's value with the keys of JSON."""
    if isinstance(value, Mapping):
        return {str(key): told(entry) for key, entry in value.items()}
    return [told(entry) for entry in value] if isinstance(value, list) else value


# The grammar allows these: what is named does not exist, or is without bounds.
BEYOND_GRAMMAR = ("a5-no-such-configuration", "a6-component-in-itself", "a7-import-missing", "b0-power")
REFUSED = [path for path in FILES if expected(path).error is not None and path.stem not in BEYOND_GRAMMAR]


@pytest.mark.parametrize("path", REFUSED, ids=lambda p: p.stem)
def test_what_we_refuse_the_oracle_refuses_too(path: Path) -> None:
    with pytest.raises(Exception):  # noqa: B017  # cpp's, plyplus's or Python's own
        oracle.settings(oracle.preprocessed(path, INCLUDE, expected(path).defines))


# A writer of our own: values, and the same values as text in many spellings.

WORDS = st.text(st.sampled_from("abcXYZ019 _-=,.:;/%()[]{}<>!?#'@äß"), max_size=12).filter(
    lambda text: "//" not in text and "/*" not in text and not re.search(r"['#]|\s{2}|linux|unix", text)
)
NUMBERS = st.one_of(st.integers(0, 40), st.integers(0, 2**64))
VALUES: st.SearchStrategy[Plain] = st.recursive(
    NUMBERS | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["name", "bus", "paddr", "size", "x y", 7, 16]), inner, max_size=4)
    ),
    max_leaves=10,
)
GAPS = st.sampled_from(
    ["", "", " ", "  ", "\t", "\n", "\r\n", " // a; comment = [\n", "/* } */", "\n\n    ", " \\\n"]
)
NAMES = st.sampled_from(["vm0", "vm1", "fserv"])
ATTRIBUTES = st.sampled_from(["heap_size", "irqs", "pci_devices", "kernel_cmdline", "a", "b", "c", "to_end"])


@dataclass
class Written:
    """A file's text, and what it amounts to: the live settings in order."""

    text: str
    settings: list[tuple[str, str, Plain]] = field(default_factory=list)


def write(draw: st.DrawFn, value: Plain) -> str:
    def gap() -> str:
        return draw(GAPS)

    if isinstance(value, list):
        inside = f"{gap()},{gap()}".join(write(draw, part) for part in value)
        return f"[{gap()}{inside}{draw(st.sampled_from(['', ','])) if value else ''}{gap()}]"
    if isinstance(value, dict):
        pairs = (f"{write(draw, key)}{gap()}:{gap()}{write(draw, part)}" for key, part in value.items())
        inside = f"{gap()},{gap()}".join(pairs)
        return f"{{{gap()}{inside}{draw(st.sampled_from(['', ','])) if value else ''}{gap()}}}"
    if isinstance(value, str):
        cut = draw(st.integers(0, len(value)))
        return f'"{value}"' if draw(st.booleans()) else f'"{value[:cut]}" {gap()}"{value[cut:]}"'
    return draw(st.sampled_from(spellings(value)))


def spellings(value: int) -> list[str]:
    """Return texts of a number that need no macro."""
    half = value // 2
    return [
        str(value),
        hex(value),
        f"{half}+{value - half}",
        f"({value + 3} - 3)",
        f"{half} * 2 + {value % 2}",
        f"(1 << {value.bit_length() + 1} & 0 | {value})",
        f"(0 ? 1 : {value})",
        f"~ ~{value}",
    ]


@st.composite
def files(draw: st.DrawFn) -> Written:
    """Return a file of settings, some under conditions, some by macros."""
    keys = draw(st.lists(st.tuples(NAMES, ATTRIBUTES), unique=True, min_size=1, max_size=6))
    head, body, live = "#define ON 1\n", "", []
    for number, (instance, attribute) in enumerate(keys):
        value = draw(VALUES)
        text = write(draw, value)
        shape = draw(st.sampled_from(["plain", "plain", "plain", "macro", "on", "off", "both", "call"]))
        if shape == "macro":
            head += f"#define VALUE{number} {one_line(text)}\n"
            text = f"VALUE{number}"
        setting = (
            f"{instance}{draw(GAPS)}.{draw(GAPS)}{attribute}{draw(GAPS)}={draw(GAPS)}{text}{draw(GAPS)};"
        )
        if shape == "call":
            head += f"#define SET{number}(x) x.{attribute} = {one_line(text)};\n"
            setting = f"SET{number}({instance})"
        if shape in ("on", "off"):
            setting = f"\n#if{'' if shape == 'on' else 'n'}def ON\n{setting}\n#endif\n"
        if shape == "both":
            setting = f"\n#ifndef ON\n{instance}.{attribute} = 99;\n#else\n{setting}\n#endif\n"
        body += f"{setting}{draw(st.sampled_from(['', ' ', chr(10), ' // tail' + chr(10)]))}"
        if shape != "off":
            live.append((instance, attribute, value))
    instances = "".join(f"component I {name}; " for name in ("vm0", "vm1", "fserv"))
    text = f"{head}assembly {{ composition {{ {instances}}}\nconfiguration {{{body}}}}}{draw(GAPS)}"
    return Written(text, live)


def one_line(text: str) -> str:
    return re.sub(r"/\*.*?\*/|//[^\n]*|\\?\r?\n", " ", text)


def agree(path: Path, wanted: list[tuple[str, str, Plain]]) -> None:
    """See that the oracle and load_application both find the wanted settings."""
    theirs = oracle.settings(oracle.preprocessed(path, INCLUDE, []))
    assert theirs == wanted
    ours = [(s.instance, s.attribute, plain(s.value)) for s in load_application(path).settings]
    assert ours == [(instance, attribute, told(value)) for instance, attribute, value in wanted]


def places(document: Document) -> Iterator[tuple[tuple[str, str], tuple[object, ...], Span]]:
    """Yield every value in the file that can be replaced: whose it is, the way to it, and its span."""
    for setting in document.assignments:
        if not setting.condition_inside:
            rest: list[tuple[tuple[object, ...], Node]] = [((), setting.value)]
            while rest:
                way, node = rest.pop()
                yield setting.key, way, node.span
                rest += [((*way, number), item) for number, item in enumerate(node.items)]
                rest += [
                    ((*way, key_of(entry.key)), entry.value) for entry in node.entries if plain_key(entry.key)
                ]


def plain_key(key: str | None) -> bool:
    return key is not None


def key_of(key: str | None) -> object:
    return int(key, 0) if key is not None and re.fullmatch(r"0x[0-9a-f]+|\d+", key) else key


def put(value: Plain, way: tuple[object, ...], new: Plain) -> Plain:
    """Return a copy of a value with the part at the end of `way` replaced."""
    if not way:
        return new
    changed = copy.deepcopy(value)
    changed[way[0]] = put(changed[way[0]], way[1:], new)  # type: ignore[index,call-overload]  # as the way says
    return changed


def round_trip_and_edit(data: st.DataObject, folder: Path) -> None:
    written = data.draw(files())
    path = folder / "random.camkes"
    path.write_bytes(written.text.encode())
    document = read_text(path.read_bytes(), "random.camkes")
    assert document.encode() == written.text.encode()
    agree(path, written.settings)

    choices = list(places(document))
    if not choices:
        return
    key, way, span = data.draw(st.sampled_from(choices))
    new = data.draw(VALUES)
    conditions = document.conditions.at(span.start)
    dead = any(c.directive == "#ifndef ON" for c in conditions)
    text = write(data.draw, new)  # type: ignore[arg-type]  # draws as a composite does
    edited = replace(document, [(span, text)])
    assert edited == document.text[: span.start] + text + document.text[span.end :]
    path.write_bytes(document.encode(edited))
    agree(
        path,
        [(i, a, put(v, way, new) if (i, a) == key and not dead else v) for i, a, v in written.settings],
    )


@pytest.mark.usefixtures("tmp_path")
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_files_and_edits(data: st.DataObject, tmp_path: Path) -> None:
    round_trip_and_edit(data, tmp_path)


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_many_random_files_and_edits(data: st.DataObject, tmp_path: Path) -> None:
    round_trip_and_edit(data, tmp_path)
