"""Where tests find things: the checkout, golden files, and recorded machines beside the checkout."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
GOLDEN = CHECKOUT / "tests" / "golden"
SHARED = CHECKOUT.parent / "shared"
