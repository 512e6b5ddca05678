"""What a command writes as it is, and what a terminal is not given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bringup.report.output import dotted


def test_text_stays_and_what_steers_a_terminal_becomes_a_dot() -> None:
    text = '+\tvm0.x = "grün → 1";\n'.encode()
    assert dotted(text) == text
    assert dotted(b"a\x1b[2Jb\x07\rc\xc2\x9b31m\xff\n") == "a·[2Jb··c·31m\ufffd\n".encode()


@given(st.binary(max_size=200))
def test_no_bytes_steer_a_terminal(data: bytes) -> None:
    shown = dotted(data).decode()
    assert all(sign.isprintable() or sign in "\n\t" for sign in shown)
    assert shown.count("\n") == data.count(b"\n")
