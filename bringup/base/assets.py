"""Finds the data that is not Python: `boards/`, `pxe/` and `probes/`, from a checkout or from a wheel."""

from __future__ import annotations

from pathlib import Path

from bringup.base.errors import ImageError

_PACKAGE = Path(__file__).parents[1]
_CHECKOUT = _PACKAGE.parent


def asset(name: str) -> Path:
    """Return the path of an asset such as `boards` or `pxe/grub.cfg.j2`.

    A checkout wins over the copy inside an installed wheel, so that an edited profile counts at once.
    """
    if (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "boards").is_dir():
        return _CHECKOUT / name
    return _PACKAGE / "_assets" / name


def built_probe(source: Path, file: str, title: str, make: str) -> Path:
    """Return what was built from a folder of `probes/`: the checkout's, else that of the installed package.

    Raises ImageError, which says how to `make` it, when neither is there.
    """
    built = source.parents[1] / "build" / source.name / file
    for path in (built, source / file):
        if path.is_file():
            return path
    raise ImageError(f"{title} is not built: {built} is not there", hint=make)
