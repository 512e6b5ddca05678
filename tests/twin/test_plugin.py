"""The pytest plugin on real targets: the tests of docs/verify.md, as they stand there, and a twin."""

from __future__ import annotations

import re

import pytest

from tests.places import CHECKOUT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("home")]

PLUGIN = "bringup.testing.plugin"


def run(pytester: pytest.Pytester, text: str, target: str) -> pytest.RunResult:
    pytester.makepyfile(text)
    words = ("-p", PLUGIN, "-p", "no:cacheprovider", f"--bringup-target={target}", "--strict-markers")
    return pytester.runpytest_subprocess(*words, timeout=500)


def test_the_first_tests_of_the_page_pass_on_the_virtual_lab(pytester: pytest.Pytester) -> None:
    page = (CHECKOUT / "docs" / "verify.md").read_text(encoding="utf-8")
    tests = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert tests
    result = run(pytester, "\n".join(tests), "vlab")
    # Those for a board are skipped here.
    result.assert_outcomes(passed=2, skipped=1)


def test_power_and_console_of_a_twin(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest
        @pytest.mark.bringup_needs("twin")
        def test_it_is_switched(bringup_power):
            assert bringup_power.state == "off"
            bringup_power("on")
            assert bringup_power.state == "on"
        def test_its_console_speaks(bringup_power, bringup_console):
            bringup_power("reset")
            assert bringup_console.expect("iPXE|SeaBIOS|PXE", timeout_s=200)
        def test_what_does_not_come_is_a_failure_with_what_came(bringup_console):
            with pytest.raises(AssertionError, match="no 'never' on the console within 0.5 s"):
                bringup_console.expect("never", timeout_s=0.5)
        """,
        "e300",
    )
    result.assert_outcomes(passed=3)
