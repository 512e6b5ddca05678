"""What may be served where: garbage is refused, and a spec survives its journey as JSON."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import ProfileError
from bringup.base.firmware import Firmware
from bringup.netboot.spec import Route, Segment, ServedFile, ServeSpec, Upload, Visits

IPXE = Route(Firmware.BIOS, "ipxe", "multiboot", "http")


def make_spec(**changes: Any) -> ServeSpec:
    """A spec for tests; other test modules of network boot use it too."""
    route = changes.get("route", IPXE)
    files = (
        *(ServedFile(path, Path("/srv/loader"), "loader", 80000) for path in route.needed),
        ServedFile("/kernel", Path("/srv/my kernel"), "kernel", 1_000_000, "ab" * 32),
    )
    segment: dict[str, Any] = {
        "interface": "br0",
        "address": "10.55.0.1/24",
        "mode": "own-segment",
        "macs": ("52:54:00:0e:30:10",),
        "board_address": "10.55.0.30",
    }
    values = {"files": files, "route": route, **changes}
    segment |= {name: values.pop(name) for name in segment if name in values}
    return ServeSpec(Segment(**segment), **values)


PROXY = {"mode": "proxy", "board_address": None}


UPLOAD = {"upload": Upload("/upload/0123", Path("/srv/run/capture"), 64 << 20)}
VISITS = {"visits": Visits("/0123", 7)}


@pytest.mark.parametrize("changes", [{}, PROXY, UPLOAD, VISITS])
def test_json_round_trip(changes: dict[str, Any]) -> None:
    spec = make_spec(**changes)
    line = spec.to_json()
    assert "\n" not in line
    assert ServeSpec.from_json(line) == spec


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"interface": "br0\nuser=root"}, "interface"),
        ({"interface": "-x"}, "interface"),
        ({"interface": ""}, "interface"),
        ({"interface": "seventeen-letters"}, "interface"),
        ({"interface": "lo"}, "loopback"),
        ({"address": "10.55.0.1"}, "address"),
        ({"address": "10.55.0.1/33"}, "address"),
        ({"address": "10.55.0.1/32"}, "address"),
        ({"address": "fd00::1/64"}, "address"),
        ({"address": "10.55.0.1/24\n"}, "address"),
        ({"mode": "both"}, "mode"),
        ({"macs": ()}, "no MAC"),
        ({"macs": ("52:54:00:0e:30",)}, "not the MACs of a board"),
        ({"macs": ("52:54:00:0e:30:10,*",)}, "not the MACs of a board"),
        ({"macs": ("*:*:*:*:*:*",)}, "not the MACs of a board"),
        ({"macs": ("01:00:5e:00:00:01",)}, "not the MACs of a board"),
        ({"macs": ("ff:ff:ff:ff:ff:ff",)}, "not the MACs of a board"),
        ({"macs": ("00:00:00:00:00:00",)}, "not the MACs of a board"),
        ({"board_address": None}, "`board_address` is needed"),
        ({"board_address": "10.55.0.1"}, "not a free address of 10.55.0.0/24"),
        ({"board_address": "10.56.0.30"}, "not a free address of 10.55.0.0/24"),
        ({"board_address": "10.55.0.30,1h"}, "expected an IPv4 address"),
        ({"board_address": "10.55.0.255"}, "not a free address"),
        ({"board_address": "10.55.0.0"}, "not a free address"),
        ({"mode": "proxy"}, "the LAN's own DHCP server gives it"),
        ({"files": ()}, "/undionly.kpxe"),
    ],
)
def test_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ProfileError, match=said):
        make_spec(**changes)


def test_macs_are_normalised() -> None:
    spec = make_spec(macs=("AC-1F-6B-0E-30-17", "ac:1f:6b:0e:30:17", "52:54:00:0e:30:10"))
    assert spec.segment.macs == ("ac:1f:6b:0e:30:17", "52:54:00:0e:30:10")


def test_the_same_name_twice_is_refused() -> None:
    spec = make_spec()
    with pytest.raises(ProfileError, match="two files would appear as /kernel"):
        dataclasses.replace(spec, files=(*spec.files, spec.files[-1]))


@pytest.mark.parametrize(
    "path",
    ["kernel", "/", "/a/../b", "/../etc/passwd", "/a b", "/$x", "/a\n", "/.hidden", "//a", "/" + "a" * 90],
)
def test_paths_that_scripts_cannot_carry(path: str) -> None:
    with pytest.raises(ProfileError, match="not a path that can be served"):
        ServedFile(path, Path("/srv/x"), "kernel", 1)


@pytest.mark.parametrize("changes", [{"role": "x"}, {"size": -1}, {"sha256": "zz"}])
def test_other_fields_of_a_file(changes: dict[str, Any]) -> None:
    with pytest.raises(ProfileError):
        ServedFile(**{"url_path": "/k", "path": Path("/k"), "role": "kernel", "size": 1, **changes})


@pytest.mark.parametrize(
    "line", ["", "null", "[]", "{}", '{"route": {}, "files": []}', make_spec().to_json()[:-1], '{"route": 1}']
)
def test_lines_that_are_no_spec(line: str) -> None:
    with pytest.raises(ProfileError):
        ServeSpec.from_json(line)


@given(st.text())
def test_any_text_is_refused_cleanly(line: str) -> None:
    with pytest.raises(ProfileError):
        ServeSpec.from_json(line)


def test_base_url() -> None:
    assert make_spec().segment.base_url == "http://10.55.0.1"


@pytest.mark.parametrize(
    ("path", "limit"), [("upload", 1), ("/a b", 1), ("/../x", 1), ("/x/" + "a" * 99, 1), ("/upload/1", 0)]
)
def test_an_upload_that_no_board_could_make(path: str, limit: int) -> None:
    with pytest.raises(ProfileError):
        Upload(path, Path("/srv/run/capture"), limit)


def test_nothing_is_both_served_and_sent_to() -> None:
    with pytest.raises(ProfileError, match="cannot be sent to"):
        make_spec(upload=Upload("/kernel", Path("/srv/run/capture"), 1))
