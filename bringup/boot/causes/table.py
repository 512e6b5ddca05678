"""Every code at which a boot may stop, and what it means."""

from __future__ import annotations

from collections.abc import Mapping

from bringup.boot.causes.console import CONSOLE
from bringup.boot.causes.elsewhere import ELSEWHERE
from bringup.boot.causes.image import IMAGE
from bringup.boot.causes.network import NETWORK
from bringup.boot.causes.restarts import RESTARTS
from bringup.boot.causes.row import Row

TABLE: Mapping[str, Row] = {**NETWORK, **ELSEWHERE, **CONSOLE, **IMAGE, **RESTARTS}
