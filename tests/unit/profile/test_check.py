"""Whatever a TOML file holds, it is a valid model or one sentence with a place; nothing else comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from bringup.base.errors import ProfileError
from bringup.lab.file import LabFile
from bringup.profile.check import validate
from bringup.profile.model import Profile
from bringup.profile.toml_lines import TomlDocument

KEYS = st.sampled_from(
    [
        *Profile.model_fields,
        *(
            "value",
            "grade",
            "source",
            "kernel-image",
            "boot_flags",
            "expected",
            "bars",
            "timeout_s",
            "settings",
        ),
        *("lab", "boards", "e300", "bmc", "password", "env", "macs", "network", "address", "mode", "a b", ""),
    ]
)
LEAVES = st.one_of(
    st.integers(),
    st.booleans(),
    st.floats(),
    st.text(max_size=5),
    st.dates(),
    st.sampled_from(["HIGH", "sol"]),
)
DATA = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=4,
)


@pytest.mark.parametrize("model", [Profile, LabFile])
@settings(max_examples=150, deadline=None)
@given(data=DATA)
def test_any_data_gives_a_model_or_one_sentence(model: type[BaseModel], data: dict[str, Any]) -> None:
    document = TomlDocument(Path("x.toml"), "", data)
    try:
        validate(model, data, [document])
    except ProfileError as error:
        assert error.message.startswith("x.toml:1: ")
        assert "\n" not in error.message


def test_many_mistakes_are_counted_not_listed() -> None:
    data = {f"k{number}": 1 for number in range(50)}
    with pytest.raises(ProfileError) as caught:
        validate(LabFile, data, [TomlDocument(Path("x.toml"), "", data)])
    assert caught.value.hint is not None
    assert "50 more: " in caught.value.hint  # 49 other unknown keys, and `boards` is missing
    assert len(caught.value.hint) < 500
