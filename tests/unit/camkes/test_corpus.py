"""Any folder of applications, against a second reading: BRINGUP_APPLICATIONS=FOLDER (docs/camkes-check.md).

The second reading is the tests' own grammar, and camkes-tool's parser where Python finds it (`camkes` and its
needs on PYTHONPATH). Without the variable only what lies beside the checkout is read.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from plyplus import PlyplusException

from bringup.base.errors import BringupError
from bringup.camkes.app.command import Command, command_of
from bringup.camkes.model import Application
from bringup.jobs.configure.request import CheckRequest
from bringup.report.findings import configuration_lines
from bringup.rules.check import check
from tests import camkes_oracle
from tests.camkes import CORPUS, plain
from tests.places import SHARED

FOLDER = os.environ.get("BRINGUP_APPLICATIONS", "")
BESIDE = sorted((SHARED / "cases" / "camkes").glob("*.camkes"))
Told = set[tuple[str, str, str]]

# Run apart: camkes-tool keeps state, and may end the process.
PEER = """
import argparse, json, sys
from camkes.parser.parser import parse_file
path, include, define = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
flags = ["-I" + each for each in include] + ["-D" + each for each in define]
options = argparse.Namespace(cpp=True, cpp_bin="cpp", cpp_flag=flags, import_path=include, verbosity=0,
                             allow_forward_references=True, queries=[], default_priority=254)
found = parse_file(path, options)
ast = found[0] if isinstance(found, tuple) else found
print(json.dumps([[s.instance, s.attribute, s.value] for s in ast.assembly.configuration.settings]))
"""


def read(path: Path) -> Application | None:
    """Return an application, read, checked and shown as a person sees it; None for one that is refused."""
    try:
        application = CheckRequest(allow_missing=True).read(path)
    except BringupError as error:
        assert error.hint or str(error)
        return None
    assert all(isinstance(line, str) for line in configuration_lines(check(application), verbose=True))
    return application


def ours(application: Application) -> Told:
    return {(s.instance, s.attribute, _text(plain(s.value))) for s in application.settings if s.applied}


def second(path: Path, command: Command) -> Told | None:
    """Return what the tests' grammar reads in the root file, None for what it or cpp does not follow."""
    words = [
        "cpp",
        "-P",
        *(f"-I{each}" for each in command.include),
        *(f"-D{each}" for each in command.define),
    ]
    done = subprocess.run([*words, str(path)], capture_output=True, check=False, timeout=60)
    if done.returncode:
        return None
    try:
        told = camkes_oracle.settings(done.stdout.decode("utf-8", "surrogateescape"))
    except (PlyplusException, ArithmeticError, LookupError, TypeError, ValueError):
        return None
    return {(instance, attribute, _text(value)) for instance, attribute, value in told}


def peers(path: Path, command: Command) -> Told | None:
    """Return what camkes-tool's own parser reads, None where it is not there or refuses."""
    if importlib.util.find_spec("camkes") is None:
        return None
    given = [json.dumps([str(each) for each in command.include]), json.dumps(list(command.define))]
    words = [sys.executable, "-W", "ignore", "-c", PEER, str(path), *given]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        return None
    return {(instance, attribute, _text(value)) for instance, attribute, value in json.loads(done.stdout)}


def _text(value: object) -> str:
    """Return a value as comparable text; what is not followed here is only told to be there."""
    if isinstance(value, str) and value.startswith(("query", "reference", "macro:")):
        return "?"
    return json.dumps(_comparable(value), sort_keys=True)


def _comparable(value: object) -> object:
    """Return a value with keys that are texts, and 1 for true, as Python compares them."""
    if isinstance(value, dict):
        return {str(key): _comparable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_comparable(entry) for entry in value]
    return int(value) if isinstance(value, bool) else value if isinstance(value, int | float) else str(value)


def differing(path: Path, application: Application) -> list[str]:
    """Return what a second reading has otherwise; nothing is said of an application that was read in part."""
    if application.missing_includes:
        return []
    command = command_of(path)
    known = ours(application)
    keys = {(instance, attribute) for instance, attribute, value in known if value == "?"}
    wrong = []
    for who, told in (("the tests' grammar", second(path, command)), ("camkes-tool", peers(path, command))):
        for each in sorted(told or ()):
            if each not in known and each[:2] not in keys and each[2] != "?":
                wrong.append(f"{path}: {who} reads {' '.join(each)}")
    return wrong


@pytest.mark.parametrize("path", BESIDE, ids=[path.name for path in BESIDE])
def test_what_lies_beside_is_read_alike(path: Path) -> None:
    application = read(path)
    assert application is None or differing(path, application) == []


def test_a_difference_would_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "app.camkes"
    path.write_text('assembly { composition {} configuration { vm0.a = [1, {"b": 2 + 3}]; } }')
    application = CheckRequest().read(path)
    assert differing(path, application) == []
    path.write_text(path.read_text().replace("3", "4"))
    assert differing(path, application) == [f'{path}: the tests\' grammar reads vm0 a [1, {{"b": 6}}]']


@pytest.mark.skipif(not FOLDER, reason="BRINGUP_APPLICATIONS names no folder of applications")
def test_a_corpus_is_read_without_a_crash_and_alike() -> None:
    wrong: list[str] = []
    slowest = (0.0, "")
    count = refused = 0
    for path in sorted(Path(FOLDER).rglob("*.camkes")):
        began = time.monotonic()
        application = read(path)
        slowest = max(slowest, (time.monotonic() - began, str(path)))
        count, refused = count + 1, refused + (application is None)
        if application is not None and application.assembled:
            wrong += differing(path, application)
    sys.stdout.write(f"{count} files, {refused} refused, slowest {slowest[0]:.2f} s: {slowest[1]}\n")
    assert wrong == []
    assert count, f"no .camkes file in {FOLDER}"


def test_the_projects_own_corpus_is_a_folder_of_applications() -> None:
    assert list(CORPUS.rglob("*.camkes"))
