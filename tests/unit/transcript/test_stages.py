"""What the console proves, however its bytes are cut, coloured, padded or hostile."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.stage import Stage
from bringup.transcript import told as events
from bringup.transcript.failures.table import FAILURES, find
from bringup.transcript.markers import MARKERS
from bringup.transcript.matching import Pattern, find_new, patterns
from bringup.transcript.stages import Sighting, StageReader
from bringup.transcript.vms import VmNames
from bringup.twin.engines import ENGINES
from tests.growth import growth

GREEN_VMM, GREEN_GUEST = b"\x1b[0m\x1b[32m", b"\x1b[0m\x1b[32;47m"
RED_VMM, RED_GUEST = b"\x1b[0m\x1b[31m", b"\x1b[0m\x1b[31;47m"
USER_ERROR = (
    b"\x1b[0m\x1b[1m<<\x1b[0m\x1b[32mseL4(CPU 0)\x1b[0m\x1b[1m "
    b'[decodeUntypedInvocation/204 T0xff "rootserver" @80493c6]: %s>>\x1b[0m\r\n'
)
BOOT = (
    b"SeaBIOS (version rel-1.16.2)\r\nWelcome to GRUB!\r\nbringup: loading kernel kernel-x86_64-pc99\r\n"
    b"Boot config: debug_port = 0x2f8\r\nBoot config: disable_iommu = false\r\n"
    b"Booting all finished, dropped to user space\r\n"
    + USER_ERROR % b"Untyped Retype: Insufficient memory (1 * 8388608 bytes needed, 0 bytes available)."
    + GREEN_VMM
    + b"Guest address space root allocated at 0x10000000. Creating 1-1 entries\r\n\r"
    + RED_VMM
    + b"Guest address space root allocated at 0x10000000. Creating 1-1 entries\r\n\r"
    + GREEN_GUEST
    + b"[    0.000000] Linux ver"
    + RED_GUEST
    + b"[    0.000000] Linux version 4.8.16 (red)\r\n\r"
    + GREEN_GUEST
    + b"sion 6.1.152 (green)\r\n\r\r\n\rWel\x00come to Buildroot\r\n\r\r\n\rbuild"
    + RED_GUEST
    + b"\r\n\rred-host login: "
    + GREEN_GUEST
    + b"root login: "
)


def read(pieces: Iterable[bytes], reader: StageReader | None = None) -> list[Sighting]:
    """Feed pieces, then let the console be silent for a second."""
    reader = reader or StageReader()
    sightings = [sighting for piece in pieces for sighting in reader.feed(piece, 1.0)]
    return sightings + reader.feed(b"", 2.0)


def stages(sightings: Iterable[Sighting]) -> list[tuple[Stage, int | None]]:
    """The stages proved, each once, in the order of their sightings."""
    pairs = [(s.stage, s.vm) for s in sightings if s.stage is not None]
    return list(dict.fromkeys(pairs))


def keys(sightings: Iterable[Sighting]) -> list[tuple[str, int, str, int | None]]:
    return sorted((s.marker, s.line_no, s.line_text, -1 if s.vm is None else s.vm) for s in sightings)


def cut(data: bytes, seed: int) -> list[bytes]:
    rng = random.Random(seed)
    pieces = []
    while data:
        size = rng.choice((1, 2, 3, 7, 40, 500))
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def test_boot_of_two_vms_is_read_in_order() -> None:
    assert stages(read([BOOT])) == [
        (Stage.FIRMWARE, None),
        (Stage.LOADER, None),
        (Stage.KERNEL, None),
        (Stage.USER_SPACE, None),
        (Stage.VMM, 0),
        (Stage.VMM, 1),
        (Stage.GUEST, 0),
        (Stage.GUEST, 1),
        (Stage.LOGIN, 0),
        (Stage.LOGIN, 1),
    ]


def test_guests_and_vmms_are_numbered_apart_unless_the_build_pairs_them() -> None:
    """Their colours go by badge, so equal colours prove nothing."""
    sightings = [s for s in read([BOOT]) if s.vm is not None]
    names = list(dict.fromkeys(s.vm_name for s in sightings))
    assert names == ["VMM 0", "VMM 1", "guest 0", "guest 1"]
    build = VmNames(("vm0", "vm1"), {1: "vm1", 0: "vm0"}, {1: "vm0", 0: "vm1"})
    named = [(s.stage, s.vm, s.vm_name) for s in read([BOOT], StageReader(build)) if s.vm is not None]
    assert list(dict.fromkeys(named)) == [
        (Stage.VMM, 1, "vm1"),
        (Stage.VMM, 0, "vm0"),
        (Stage.GUEST, 1, "vm1"),
        (Stage.GUEST, 0, "vm0"),
        (Stage.LOGIN, 1, "vm1"),
        (Stage.LOGIN, 0, "vm0"),
    ]


def test_refused_system_call_of_the_root_server_is_only_a_note() -> None:
    sightings = read([BOOT])
    assert [s.kind for s in sightings if s.kind != "stage"] == ["note"]
    assert "Insufficient memory" in next(s.line_text for s in sightings if s.kind == "note")


def test_text_goes_on_after_the_kernel_interrupted_it() -> None:
    """The kernel resets the colour, and the SerialServer does not repeat its own."""
    text = GREEN_VMM + b"Guest address space " + USER_ERROR % b"any" + b"root allocated at 0x1\r\n"
    sightings = [s for s in read([text]) if s.stage]
    assert [(s.stage, s.vm) for s in sightings] == [(Stage.VMM, 0)]


def test_line_number_and_whole_line_are_told() -> None:
    sightings = read([b"one\r\ntwo\nBooting all finished, dropped to user space and more\r\nfour\n"])
    assert [(s.line_no, s.line_text) for s in sightings] == [
        (3, "Booting all finished, dropped to user space and more")
    ]


def test_unfinished_line_is_told_after_a_pause_and_a_prompt_at_once() -> None:
    reader = StageReader()
    assert reader.feed(b"seL4 failed assertion 'x' at ", 10.0) == []
    assert reader.feed(b"", 10.1) == []
    (sighting,) = reader.feed(b"", 10.3)
    assert sighting.failure is not None
    assert (sighting.failure.code, sighting.at_s) == ("kernel-assertion", 10.0)
    assert [s.stage for s in reader.feed(b"\nhost login:", 10.4)] == [Stage.LOGIN]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 32))
def test_same_sightings_however_the_bytes_are_cut(seed: int) -> None:
    assert keys(read(cut(BOOT, seed))) == keys(read([BOOT]))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_noise_between_the_bytes_hides_nothing(data: st.DataObject) -> None:
    """Colours, NULs, spaces and line ends inserted anywhere leave every text to be found."""
    plain = (
        b"Welcome to GRUB!\nBoot config: disable_iommu = false\nvt-x: not supported\n"
        b"Booting all finished, dropped to user space\nFinal e820 map is:\n\nbuildroot login:"
    )
    noise = st.sampled_from([b"\x1b[0m", b"\x1b[1;31m", b"\x00", b" ", b"  ", b"\x1b[K", b"\x1b]0;x\x07"])
    places = data.draw(st.lists(st.tuples(st.integers(0, len(plain)), noise), max_size=25))
    noisy = plain
    for place, text in sorted(places, key=lambda item: item[0], reverse=True):
        noisy = noisy[:place] + text + noisy[place:]
    expected = {s.marker for s in read([plain])}
    assert len(expected) == 6
    assert {s.marker for s in read(cut(noisy, len(places)))} == expected


def test_colour_in_the_middle_of_a_text_is_seen_across_writers() -> None:
    text = b"Booting all fini" + GREEN_VMM + b"shed, dropped to us" + RED_VMM + b"er space\n"
    assert stages(read([text])) == [(Stage.USER_SPACE, None)]


def sample(pattern: Pattern) -> bytes:
    return pattern.text.replace("%d", "17").replace("%x", "c5").encode()


@pytest.mark.parametrize("pattern", [p for p in patterns() if not p.is_prompt], ids=lambda p: p.text)
def test_every_known_text_is_found(pattern: Pattern) -> None:
    """Also split in the middle, and never in text that lacks its last character."""
    text = sample(pattern).strip()
    half = len(text) // 2
    seen = {s.marker for s in read([b"\r\n" + text[:half], text[half:] + b"\r\n"])}
    guest = {s.marker for s in read([GREEN_GUEST + text + b"\r\n"])}
    assert pattern.text in seen | guest
    assert pattern.text not in {s.marker for s in read([b"\r\n" + text[:-1] + b"~\r\n"])}


def test_short_texts_are_anchored_or_long_enough() -> None:
    loose = [p for p in patterns() if not p.line_start and not p.is_prompt]
    # A network boot ROM's number is unmistakable by itself.
    assert {p.text for p in loose if len(p.squeezed) < 10 and not p.text.startswith("PXE-")} == set()
    assert [p.text for p in patterns() if p.text.rstrip().endswith(("%d", "%x"))] == []


def test_every_failure_says_whose_fault_it_is_and_where_its_words_come_from() -> None:
    for row in FAILURES:
        assert row.cause and row.why and row.fix and row.source, row
        assert row.cause[0].islower() or row.cause.startswith(("VT-x", "iPXE", "GRUB", "Secure Boot")), (
            row.cause
        )
        assert find(row.code, row.text) is not None
    assert all(marker.source for marker in MARKERS)
    assert find("no-such-code", "x") is None


@pytest.mark.parametrize(
    "text",
    [
        b"Last login: Fri Apr  9 16:36:04 on ttyS0\n",
        b"please enter your login: \n",
        b"[    2.0] foo: failed login: root\n",
        b"sshd[12]: login: bad\n",
        b"autologin: root\n",
        b"x buildroot login: \n",
    ],
)
def test_other_text_about_logins_is_no_prompt(text: bytes) -> None:
    assert stages(read([b"\n" + text])) == []


def test_prompt_drawn_again_counts_once_and_other_hosts_count_too() -> None:
    text = b"\r\nbuildroot login: \r\nbuildroot login: root\r\nLogin incorrect\r\nbuildroot login: "
    assert stages(read([text])) == [(Stage.LOGIN, None)]
    sel4 = b"Booting all finished, dropped to user space\n" + text + b"\nsecond login: "
    assert stages(read([sel4]))[1:] == [(Stage.LOGIN, 0), (Stage.LOGIN, 1)]


def test_bare_linux_and_xen_are_kernels_and_a_panic_is_theirs() -> None:
    text = (
        b"(XEN) Xen version 4.17.3\n[ 0.0] Linux version 6.1.0-18-amd64\n[ 1.0] Run /init as init process\n"
    )
    assert stages(read([text])) == [(Stage.KERNEL, None), (Stage.USER_SPACE, None)]
    panic = b"[ 2.0] Kernel panic - not syncing: VFS\n"
    assert [s.failure.code for s in read([text + panic]) if s.failure] == ["kernel-panic"]
    assert [s.failure.code for s in read([BOOT + b"\n" + panic]) if s.failure] == ["guest-panic"]


def test_firmware_text_begins_a_new_boot() -> None:
    again = read([BOOT + b"\r\n\x1b[0m\x1b[37m\x1b[40m" + BOOT])
    assert sum(s.marker == "Boot config: disable_iommu = " for s in again) == 2
    assert sum(s.stage is Stage.LOGIN for s in again) == 4


def test_garbage_is_told_once_and_frames_and_nuls_are_none() -> None:
    noise = random.Random(1).randbytes(4096).translate(None, bytes(range(0x20, 0x7F)))
    codes = [s.failure.code for s in read(cut(b"SeaBIOS\r\n" + noise, 3)) if s.failure]
    assert codes == ["garbage"]
    frames = "┌──────┐│menu│└──────┘".encode() * 60 + b"\xc9\xcd\xcd\xbb\xba text \xba" * 60
    assert read([frames]) == []
    assert read([b"Star\x00ting logging: OK\r\n" * 200]) == []


def test_wrong_line_speed_is_garbage() -> None:
    """115200 baud read at 9600: every byte is a run of one level."""
    runs = bytes([0x00, 0x80, 0xC0, 0xE0, 0xF0, 0xF8, 0xFC, 0xFE])
    data = bytes(random.Random(2).choices(runs, k=2048))
    assert [s.failure.code for s in read([data]) if s.failure] == ["garbage"]


HOSTILE = st.lists(
    st.binary(max_size=300)
    | st.sampled_from(
        [BOOT, GREEN_GUEST, RED_VMM, b"\x1b[", b"\x1b]", b"\x1b", b"\nx login:", b"halting...", b"\n"]
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(HOSTILE, st.integers(0, 1 << 32))
def test_hostile_bytes_never_raise_and_may_be_cut_anywhere(pieces: list[bytes], seed: int) -> None:
    reader = StageReader()
    sightings = read(pieces, reader)
    for sighting in sightings:
        assert sighting.line_text.isprintable() or "\t" in sighting.line_text
        assert len(sighting.line_text) <= 500
    assert reader.bytes_seen == sum(map(len, pieces))
    assert keys(read(cut(b"".join(pieces), seed))) == keys(sightings)


@pytest.mark.parametrize(
    "unit",
    [
        b"flood 000001 abcdefghijklmnopqrstuvwxyz 0123456789 abcdefgh\r\n",
        b"\x1b[0m\x1b[32mx\x1b[0m\x1b[31my",
        b"login:login:",
        b"Halting...halting...PXE-E61",
        b"\x1b]" + b"A" * 255,
        b" " * 64,
    ],
    ids=["flood", "colours", "prompts", "failures", "strings", "spaces"],
)
def test_a_burst_is_cheap_and_bounded(unit: bytes) -> None:
    """The line brings 11.5 kB/s; half a megabyte at once must not hold anybody up, whatever it is."""
    data = unit * (500_000 // len(unit))
    reader = StageReader()
    sightings = read([data], reader)
    assert growth(lambda size: read([data[:size]], StageReader()), len(data) // 16) < 8
    assert len(sightings) <= 64
    assert reader.lines_seen == data.count(b"\n")


def test_no_advice_names_an_engine_that_the_twin_does_not_run_on() -> None:
    texts = "\n".join(f"{row.why} {row.fix}" for row in FAILURES)
    assert set(re.findall(r"--engine (\w+)", texts)) <= set(ENGINES)


def test_a_feature_that_is_missing_is_built_without() -> None:
    refusals = [row for row in FAILURES if row.code.startswith("cpu-")]
    assert refusals
    assert all(row.fix.startswith(("build with ", "build for ")) for row in refusals)


def test_a_suite_says_which_of_its_tests_runs() -> None:
    text = b"Starting test suite sel4test\r\nStarting test 0: any tests\r\nStarting test 2: SCHED0001\r\n"
    told = [s.test for s in read([text], StageReader(last_test=2)) if s.test is not None]
    assert [(test.number, test.of) for test in told] == [(0, 2), (2, 2)]
    # More tests than was thought: then how many there are is not known.
    told = [s.test for s in read([text], StageReader(last_test=1)) if s.test is not None]
    assert [(test.number, test.of) for test in told] == [(0, 1), (2, None)]
    sighting = next(s for s in read([text], StageReader(last_test=2)) if s.test)
    assert events.test_of(events.as_event(sighting)) == sighting.test


def test_lines_that_are_not_the_boards_are_counted_and_prove_nothing() -> None:
    reader = StageReader()
    reader.feed(b"one\r\ntwo", 1.0)
    before = (reader.bytes_seen, reader.text_bytes, reader.heard_s)
    reader.skip(b"\n-- SOL lost 2.0 s --\n")
    assert (reader.bytes_seen, reader.text_bytes, reader.heard_s) == before
    assert reader.last_line == (2, "two")
    reader.feed(b"four\r\n", 2.0)
    assert reader.last_line == (4, "four")


WORDS = [re.sub("%[dx]", "7", pattern.squeezed).encode() for pattern in patterns()]
EVERYWHERE = [(re.compile(b"(?=(%s))" % p.expression().encode()), p.text) for p in patterns()]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(WORDS).flatmap(lambda word: st.sampled_from([word, word[:9], word[3:]]))),
    st.integers(0, 40),
)
def test_every_known_text_is_found_wherever_it_stands(words: list[bytes], old: int) -> None:
    squeezed = b"".join(words)
    found = {(pattern.text, start, end) for pattern, start, end in find_new(squeezed, old)}
    spans = ((text, *hit.span(1)) for each, text in EVERYWHERE for hit in each.finditer(squeezed))
    assert found == {(text, start, end) for text, start, end in spans if end > old}


@pytest.mark.parametrize(
    "half",
    [
        b"vt-x: feature locked",
        b"[   12.3] Kernel panic - not syncing: x",
        b"Caught cap fault in send phase at address 0\n",
    ],
)
def test_what_is_half_read_of_the_system_before_is_nothing_of_the_boot(half: bytes) -> None:
    reader = StageReader()
    assert not reader.feed(half, 1.0)
    reader.start_anew(2.0)
    found = reader.feed(b"\r\nSeaBIOS (version 1.16.2)\r\n", 3.0) + reader.finish(4.0)
    assert [(sighting.kind, str(sighting.stage)) for sighting in found] == [("stage", "firmware")]
    assert found[0].line_no == (3 if half.endswith(b"\n") else 2)


@pytest.mark.parametrize(
    "text",
    [
        b"Booting all finished, dropped to us\r\ner space\r\n",
        b"Booting all finished, dropped\r\nto user space\r\n",
        b"Booting all finished, dropped \r\nto user space\r\n",
        b"Booting all finished, dropped to us\x1b[05;01Her space\r\n",
        b"Booting all\r\n\r\nfinished, dropped to user sp\n\race\r\n",
    ],
)
def test_a_line_that_a_terminal_wrapped_is_quoted_whole(text: bytes) -> None:
    reader = StageReader()
    sightings = [*reader.feed(b"before\r\n" + text + b"after\r\n", 1.0), *reader.finish(9.0)]
    assert [s.line_text for s in sightings] == ["Booting all finished, dropped to user space"]


def test_a_wrapped_line_keeps_what_stands_before_the_text() -> None:
    reader = StageReader()
    text = b"x\r\n[0.1] Booting all finished, drop\r\nped to user space at last\r\n"
    sightings = [*reader.feed(text, 1.0), *reader.finish(9.0)]
    assert [s.line_text for s in sightings] == ["[0.1] Booting all finished, dropped to user space at last"]
