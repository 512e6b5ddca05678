"""Finds the data that is not Python: `boards/`, `pxe/` and `probes/`, from a checkout or from a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_CHECKOUT = _PACKAGE.parent


def asset(name: str) -> Path:
    """Return the path of an asset such as `boards` or `pxe/grub.cfg.j2`.

    A checkout wins over the copy inside an installed wheel, so that an edited profile counts at once.
    """
    if (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "boards").is_dir():
        return _CHECKOUT / name
    return _PACKAGE / "_assets" / name
