"""The pytest plugin, run by pytest itself on tests as a lab would write them."""

from __future__ import annotations

import tomllib

import pytest

from tests.places import CHECKOUT

pytestmark = pytest.mark.usefixtures("home")

PLUGIN = "bringup.testing.plugin"


def run(pytester: pytest.Pytester, text: str, *words: str) -> pytest.RunResult:
    pytester.makepyfile(text)
    return pytester.runpytest_inprocess("-p", PLUGIN, "-p", "no:cacheprovider", "-rs", *words)


def test_the_plugin_comes_with_the_package() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # The entry point is called as its module is: `-p` then names the same plugin, and not a second one.
    assert project["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}


def test_without_a_target_everything_is_skipped_with_the_reason(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest
        def test_lab(bringup_lab): assert False
        def test_vm(bringup_vm): assert False
        def test_board(bringup_board): assert False
        def test_power(bringup_power): assert False
        def test_console(bringup_console): assert False
        @pytest.mark.bringup_needs("twin")
        def test_twin(): assert False
        """,
    )
    result.assert_outcomes(skipped=6)
    result.stdout.fnmatch_lines(["*no target: --bringup-target=vlab, or the name of a board*"])


def test_what_the_target_is_not_is_skipped(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest
        def test_board(bringup_power): assert False
        @pytest.mark.bringup_needs("hardware")
        def test_hardware(): assert False
        @pytest.mark.bringup_needs("no-such-program")
        def test_program(): assert False
        @pytest.mark.bringup_needs("vlab", "sh")
        def test_met(): pass
        @pytest.mark.bringup_slow
        def test_slow(): assert False
        """,
        "--bringup-target=vlab",
        "--strict-markers",
    )
    result.assert_outcomes(skipped=4, passed=1)
    result.stdout.fnmatch_lines_random(
        [
            "*needs a board, and the target is vlab*",
            "*needs the program no-such-program*",
            "*takes minutes: --bringup-slow*",
        ]
    )


def test_an_unknown_board_is_told_in_the_words_of_the_toolkit(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test_it(bringup_board): pass", "--bringup-target=e3oo")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*UsageError*e3oo*"])


def test_names_are_listed_with_their_meaning(pytester: pytest.Pytester) -> None:
    told = run(pytester, "", "--fixtures").stdout.str() + run(pytester, "", "--markers").stdout.str()
    for name in ("bringup_lab", "bringup_vm", "bringup_board", "bringup_power", "bringup_console"):
        assert name in told
    assert "bringup_needs(thing, ...)" in told and "bringup_slow" in told
