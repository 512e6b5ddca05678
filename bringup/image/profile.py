"""`bringup.toml` beside an image: what whoever built it says of its boots.

    until = "login"                      # a stage, or a text (regular expression) that must come
    until = ["suite passed", "42 tests"] # or several texts
    fail = ["ASSERTION"]                 # a text that means failure
    vms = 3                              # how many VMs must log in
    for = 30                             # seconds to watch on after success
    append = "disable_iommu"             # words for the kernel's command line
    engine = "qemu"                      # what a twin runs on

The command line has the last word. It is looked for in the image's own folder, then in that of its build
(the parent of `images/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bringup.base.clock import WATCH_ON_MAX_S
from bringup.base.engine_names import ENGINE_CHOICES
from bringup.base.errors import UsageError
from bringup.base.stage import BOOT_STAGES, Stage
from bringup.profile.check import validate
from bringup.profile.kinds import Many, Text
from bringup.profile.toml_lines import read_toml
from bringup.transcript.texts import compile_text

FILE_NAME = "bringup.toml"
_STAGES = {str(stage): stage for stage in BOOT_STAGES}


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _expression(text: str) -> str:
    try:
        compile_text(text)
    except UsageError as error:
        raise ValueError(error.message) from None
    return text


def _engine(name: str) -> str:
    if name not in ENGINE_CHOICES:
        raise ValueError(f"expected one of {', '.join(ENGINE_CHOICES)}")
    return name


Texts = Annotated[Many[Annotated[Text, AfterValidator(_expression)]], BeforeValidator(_listed)]


class ImageProfile(BaseModel):
    """What the file says; None, or nothing, leaves a thing to the command line and the image itself."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    for_s: Annotated[Annotated[float, Field(ge=0, le=WATCH_ON_MAX_S)] | None, Field(alias="for")] = None
    until: Texts = ()
    fail: Texts = ()
    vms: Annotated[int, Field(ge=0, le=64)] | None = None
    append: Annotated[str, Field(max_length=2000)] = ""
    engine: Annotated[str, AfterValidator(_engine)] | None = None

    @model_validator(mode="after")
    def _one_stage(self) -> ImageProfile:
        stages = [text for text in self.until if text in _STAGES]
        if len(stages) > 1:
            raise ValueError(
                f"`until` names {len(stages)} stages, {' and '.join(stages)}: one can be the last"
            )
        return self

    @property
    def stage(self) -> Stage | None:
        """The stage that `until` names, None where it names none."""
        return next((_STAGES[text] for text in self.until if text in _STAGES), None)

    @property
    def until_texts(self) -> tuple[str, ...]:
        """The texts of `until`: whatever is no stage."""
        return tuple(text for text in self.until if text not in _STAGES)


def read_image_profile(folders: Sequence[Path]) -> ImageProfile:
    """Return what the first of these folders that has a file says, an empty profile where none has.

    Raises ProfileError with FILE:LINE of a mistake.
    """
    for folder in folders:
        try:
            document = read_toml(folder / FILE_NAME)
        except FileNotFoundError:
            continue
        return validate(ImageProfile, document.data, [document])
    return ImageProfile()
