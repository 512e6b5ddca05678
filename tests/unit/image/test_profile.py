"""bringup.toml beside an image: what it may say, where it is found, and mistakes with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.errors import ProfileError
from bringup.base.stage import Stage
from bringup.image.profile import FILE_NAME, ImageProfile, read_image_profile

pytestmark = pytest.mark.usefixtures("in_folder")


def said(text: str) -> ImageProfile:
    Path(FILE_NAME).write_text(text)
    return read_image_profile([Path()])


def test_everything_it_may_say() -> None:
    profile = said(
        'until = ["login", "all \\\\d+ tests passed"]\nfail = "ASSERT"\nvms = 3\n'
        'append = "disable_iommu"\nengine = "qemu"\nfor = 30\n'
    )
    assert profile.stage is Stage.LOGIN
    assert profile.until_texts == (r"all \d+ tests passed",)
    assert profile.fail == ("ASSERT",)
    assert (profile.vms, profile.append, profile.engine) == (3, "disable_iommu", "qemu")
    assert profile.for_s == 30.0


def test_one_text_needs_no_list() -> None:
    assert (said('until = "42 passed"').stage, said('until = "42 passed"').until_texts) == (
        None,
        ("42 passed",),
    )
    assert (said('until = "vmm"').stage, said('until = "vmm"').until_texts) == (Stage.VMM, ())


def test_the_nearest_file_counts_and_none_says_nothing(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    assert read_image_profile([images, tmp_path]) == ImageProfile()
    (tmp_path / FILE_NAME).write_text("vms = 1")
    assert read_image_profile([images, tmp_path]).vms == 1
    (images / FILE_NAME).write_text("vms = 2")
    assert read_image_profile([images, tmp_path]).vms == 2
    assert read_image_profile([]) == ImageProfile()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("for = -1", "bringup.toml:1: `for` is -1: expected at least 0"),
        ("\nvms = 65", "bringup.toml:2: `vms` is 65: expected at most 64"),
        ("vms = true", "bringup.toml:1: `vms` is true: expected a whole number"),
        (
            "untill = 'x'",
            "bringup.toml:1: unknown key `untill` in the top of the file; did you mean `until`?",
        ),
        ("fail = ['ok', '(']", 'bringup.toml:1: `fail[1]` is "(" (a text): not a regular expression'),
        ("until = '(a+)+b'", "could take for ever"),
        ("until = ['login', 'guest']", "bringup.toml:1: `until` names 2 stages, login and guest"),
        (
            "engine = 'simics'",
            '`engine` is "simics" (a text): expected one of auto, qemu, scripted, bochs',
        ),
        ("append = 3", "`append` is 3: expected a text in quotes"),
        ("until = 3", "`until` is 3: expected a list"),
        ("vms = ", "bringup.toml:1: not valid TOML"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(text: str, words: str) -> None:
    with pytest.raises(ProfileError) as caught:
        said(text)
    assert words in caught.value.message
    assert caught.value.exit_code == 12
