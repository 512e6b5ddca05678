"""What the twin can be asked to run on, by name: `auto` takes what an image needs."""

from __future__ import annotations

from typing import Literal, get_args

EngineName = Literal["qemu", "scripted", "bochs", "kvm"]
ENGINE_CHOICES: tuple[str, ...] = ("auto", *get_args(EngineName))
