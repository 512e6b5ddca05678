"""What the tests of CAmkES files share: the corpus and what each file of it says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from bringup.camkes.app.load import load_application
from bringup.camkes.model import Application, Unevaluated, Value

CORPUS = Path(__file__).resolve().parent / "camkes_corpus"
FILES = sorted(CORPUS.glob("*.camkes"))
INCLUDE = CORPUS / "include"


@dataclass(frozen=True)
class Expected:
    """What a corpus file says it amounts to: (instance, attribute, value, applied), or its error."""

    settings: list[tuple[str, str, object, bool]]
    defines: list[str]
    error: str | None


def expected(path: Path) -> Expected:
    settings: list[tuple[str, str, object, bool]] = []
    defines: list[str] = []
    error = None
    for line in path.read_bytes().decode("utf-8", "replace").splitlines():
        mark, rest = line[:3], line[3:].strip()
        if mark == "//=":
            name, value = rest.split(None, 1)
            instance, attribute = name.removeprefix("!").rsplit(".", 1)
            known = value if value.startswith(("query:", "reference:")) else json.loads(value)
            settings.append((instance, attribute, known, not name.startswith("!")))
        elif mark == "//?":
            defines += rest.replace("define ", "").split()
        elif mark == "//!":
            error = rest
    return Expected(settings, defines, error)


def load(path: Path, **options: object) -> Application:
    return load_application(path, include=[INCLUDE], define=expected(path).defines, **options)  # type: ignore[arg-type]


def plain(value: Value) -> object:
    """Return a value as JSON would have it."""
    if isinstance(value, Unevaluated):
        return f"{value.kind}:{value.text}"
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, tuple) else value


def mutated(data: st.DataObject, pieces: Sequence[str]) -> tuple[Path, bytes]:
    """Return a file of the corpus and its content with some pieces put in, over what stood there or not."""
    path = data.draw(st.sampled_from(FILES))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 8))] = data.draw(st.sampled_from(pieces)).encode()
    return path, bytes(content)
