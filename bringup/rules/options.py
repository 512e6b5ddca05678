"""The options by which a person gives what a rule lacks; a gap names them."""

from __future__ import annotations

CAPTURE = "--capture"
BUILD = "--build-dir"
PROFILE = "--profile"
