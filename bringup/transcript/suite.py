"""How far a test suite came: sel4test says which test it starts, and which failed.

Texts: libsel4test src/testreporter.c and sel4test-driver src/main.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE_MAX = 200
_TESTS_MAX = 4096
_WORDS = (b"Starting test ", b"Test ")
_LINE = re.compile(
    rb"(?:Starting test (?P<number>\d{1,6}): (?P<starts>[^\r\n]{1,80})"
    rb"|Test (?!suite )(?P<failed>\w{1,80}) failed)[^\r\n]*[\r\n]"
)
DRIVER = "sel4test-driver"
"""In the name of the suite's root task image."""


@dataclass(frozen=True, slots=True)
class Test:
    """A test that began, or that failed (`number` None); numbers are the suite's own, `of` is the last."""

    number: int | None
    name: str
    failed: bool
    of: int | None = None


def test_words(number: int, last: int | None, name: str) -> str:
    """Return which test of a suite runs, for people: `12 of 123 (SCHED0001)`."""
    return f"{number} ({name})" if last is None else f"{number} of {last} ({name})"


class SuiteReader:
    """Reads the plain text of a console; `last` is the number of the last test, where that is known."""

    def __init__(self, last: int | None = None) -> None:
        self._last = last
        self._carry = b""
        self._told = 0

    def start_boot(self) -> None:
        """Forget what another boot said."""
        self._told = 0

    def feed(self, text: bytes) -> Iterator[tuple[Test, int]]:
        """Yield the tests that `text` tells of, each with the offset behind its line."""
        before = len(self._carry)
        text = self._carry + text
        self._carry = text[max(text.rfind(b"\n"), text.rfind(b"\r")) + 1 :][-_LINE_MAX:]
        if not any(word in text for word in _WORDS):
            return
        for found in _LINE.finditer(text):
            if self._told < _TESTS_MAX:
                self._told += 1
                number, failed = found["number"], found["failed"]
                name = (failed or found["starts"]).decode("ascii", "replace").strip()
                test = self._test(name, None if number is None else int(number), failed is not None)
                yield test, found.end() - before

    def _test(self, name: str, number: int | None, failed: bool) -> Test:
        if number is not None and self._last is not None and number > self._last:
            self._last = None  # there are more tests than was thought
        return Test(number, name, failed, self._last)
