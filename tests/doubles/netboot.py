"""Boards as the servers of a network boot know them."""

from __future__ import annotations

from collections.abc import Collection

from bringup.base.events import Emit, Event
from bringup.netboot.catalog import Catalog
from bringup.netboot.clients import Client
from bringup.netboot.upload import Receiver
from bringup.netboot.visits import Usher


class OnlyClient:
    """One board, which has every address but those of `strangers`."""

    def __init__(
        self,
        catalog: Catalog,
        emit: Emit,
        strangers: Collection[str] = (),
        receiver: Receiver | None = None,
        usher: Usher | None = None,
    ) -> None:
        self.client = Client((), None, catalog, emit, receiver, usher)
        self._strangers = strangers

    def of(self, address: str) -> Client | None:
        return None if address in self._strangers else self.client

    def tell(self, event: Event) -> None:
        self.client.emit(event)
