"""Read-only TFTP on tftpy's packets and states, with the parts replaced that one packet can break.

What stock tftpy 0.8.7 does, and why it is not used as it is: any exception that is not its own ends the
server (a directory or a non-ASCII name in one request), writes are on and truncate, links are followed out of
the root, options come back that nobody asked for, foreign packets count, select() overflows at 1024 sessions.
Here every call into tftpy is guarded, each session has a connected socket of its own, and files come from an
exact table. Works on requests of RFC 1350 with `blksize` (RFC 2348) and `tsize` (RFC 2349).
"""

from __future__ import annotations

import contextlib
import logging
import re
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import tftpy
from tftpy.TftpContexts import TftpContextServer
from tftpy.TftpPacketTypes import TftpPacketERR, TftpPacketOACK, TftpPacketRRQ, TftpPacketWRQ
from tftpy.TftpShared import TftpErrors, TftpException, TftpTimeoutExpectACK
from tftpy.TftpStates import TftpState, TftpStateExpectACK

from bringup.base.errors import BringupError
from bringup.base.events import Event
from bringup.netboot.catalog import ChangedFileError, ProgressThrottle, open_served, shown
from bringup.netboot.clients import Client, Clients
from bringup.netboot.listen import bind_error
from bringup.netboot.packet_filter import attach, from_boards
from bringup.netboot.spec import ServedFile

BLKSIZE_MIN, BLKSIZE_MAX = 8, 65464  # RFC 2348
BLKSIZE_DEFAULT = 512
SESSIONS_MAX = 64
SESSIONS_PER_CLIENT_MAX = 16
RESEND_AFTER_S = 1.0
RESENDS_MAX = 5
_REQUEST_MAX = 2048
_RESTARTS_MAX = 5
_STOP_S = 2.0
_DIGITS = re.compile(r"[0-9]{1,9}", re.ASCII)

# What this module replaces or calls in tftpy; another release may not have it, and must then not be used.
_RELIED_ON = (
    (TftpContextServer, ("cycle", "end", "getBlocksize")),
    (TftpState, ("sendDAT", "sendError", "resendLast")),
    (TftpStateExpectACK, ("handle",)),
    (TftpPacketERR, ("decode",)),
    (TftpErrors, ("FileNotFound", "AccessViolation", "IllegalTftpOp")),
)


def check_tftpy() -> None:
    """Raise BringupError when tftpy is not the release this module was written against."""
    missing = [
        f"{kind.__name__}.{name}" for kind, names in _RELIED_ON for name in names if not hasattr(kind, name)
    ]
    if missing or tftpy.__version__ != "0.8.7":
        what = missing[0] if missing else f"release {tftpy.__version__}"
        raise BringupError(
            f"tftpy is not the release this tool was made for ({what})", hint="pip install tftpy==0.8.7"
        )


class _BoardStopped(TftpException):  # type: ignore[misc]
    """The client sent an ERROR packet: it has what it wanted, or gave up."""


class _Refused(TftpException):  # type: ignore[misc]
    """The request was answered with an ERROR packet, or not at all."""


class _Changed(_Refused):
    """The file is not any more what it was when the boot was prepared."""


class TftpService:
    """A TFTP server bound to one address; `serve()` runs until `stop()`, which any thread may call."""

    def __init__(self, clients: Clients, address: str, port: int) -> None:
        check_tftpy()
        # tftpy's logger would format every packet; what matters becomes an event.
        logging.getLogger("tftpy").setLevel(logging.CRITICAL)
        self.address = address
        self._clients = clients
        self._sessions: dict[tuple[str, int], _Session] = {}
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._socket = _bound(address, port)
        self.port: int = self._socket.getsockname()[1]
        for sock in (self._socket, self._woken):
            self._selector.register(sock, selectors.EVENT_READ)

    def let_in(self, macs: Iterable[str]) -> None:
        """Hear only these MACs, and this host."""
        attach(self._socket, from_boards(macs))

    def stop(self) -> None:
        """End `serve()` at once; transfers under way are dropped."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._wake.send(b".")

    def serve(self) -> None:
        """Answer requests until `stop()`."""
        try:
            while not self._stopping:
                for key, _ in self._selector.select(RESEND_AFTER_S / 2):
                    if key.fileobj is self._socket:
                        self._begin()
                    elif key.data is not None:
                        self._advance(key.data)
                self._expire(time.time())
        finally:
            self._close()

    def _close(self) -> None:
        for session in list(self._sessions.values()):
            self._finish(session, _Refused("the server stopped"))
        self._selector.close()
        for sock in (self._socket, self._wake, self._woken):
            sock.close()

    def _begin(self) -> None:
        try:
            packet, client = self._socket.recvfrom(_REQUEST_MAX)
        except OSError:
            return  # an ICMP error for an earlier answer, or a packet that a check sum threw away
        under_way = self._sessions.get(client)
        if under_way is not None:
            if under_way.was_begun_by(packet):
                return  # that session sends again by itself
            # Option ROMs ask from one port for ever: a board that was reset begins anew.
            self._finish(under_way, _Refused("the board asked anew"))
        board = None if self._is_full(client[0]) else self._clients.of(client[0])
        if board is None:
            return
        try:
            session = _Session(self.address, board, client)
        except OSError:
            return  # no socket to be had: the client asks again
        self._sessions[client] = session
        try:
            self._selector.register(session.sock, selectors.EVENT_READ, session)
            session.start(packet)
        except Exception as error:  # noqa: BLE001  one bad packet must not end the server
            self._finish(session, error)

    def _is_full(self, client: str) -> bool:
        per_client = Counter(address for address, _ in self._sessions)
        return len(self._sessions) >= SESSIONS_MAX or per_client[client] >= SESSIONS_PER_CLIENT_MAX

    def _advance(self, session: _Session) -> None:
        if session.closed:
            return
        try:
            session.cycle_or_resend()
        except Exception as error:  # noqa: BLE001  as above
            self._finish(session, error)
            return
        if session.state is None:
            self._finish(session, None)
        else:
            session.tell_progress()

    def _expire(self, now_s: float) -> None:
        for session in list(self._sessions.values()):
            if now_s - session.last_update <= RESEND_AFTER_S:
                continue
            session.retry_count += 1
            try:
                if session.retry_count > RESENDS_MAX:
                    raise _Refused("the board did not answer any more")
                session.last_update = now_s
                session.state.resendLast()
            except Exception as error:  # noqa: BLE001  as above
                self._finish(session, error)

    def _finish(self, session: _Session, error: Exception | None) -> None:
        self._sessions.pop(session.client, None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(session.sock)
        session.finish(error)


class TftpThread:
    """Runs the TFTP server in a thread and starts it again if something still ends it."""

    def __init__(self, clients: Clients, address: str, port: int) -> None:
        self._at = (address, port)
        self._clients = clients
        self._service = TftpService(clients, address, port)
        self._macs: tuple[str, ...] = ()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="tftp", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        for _ in range(_RESTARTS_MAX):
            try:
                self._service.serve()
                return
            except Exception as error:  # noqa: BLE001  the boot may still work; what happened is told
                reason = f"the server was restarted after {type(error).__name__}"
                self._clients.tell(Event("tftp", "tftp.error", reason, {"path": None, "reason": reason}))
            if self._closing:
                return
            self._service = TftpService(self._clients, *self._at)
            self._service.let_in(self._macs)

    def let_in(self, macs: Iterable[str]) -> None:
        """Hear only these MACs, and this host."""
        self._macs = tuple(macs)
        self._service.let_in(self._macs)

    def close(self) -> None:
        """Stop the server."""
        self._closing = True
        self._service.stop()
        self._thread.join(_STOP_S)


class _Session(TftpContextServer):  # type: ignore[misc]
    """One transfer on a socket of its own."""

    def __init__(self, address: str, board: Client, client: tuple[str, int]) -> None:
        # flock off: its advisory lock breaks on files that have no name.
        super().__init__(*client, RESEND_AFTER_S, root="", retries=RESENDS_MAX, flock=False)
        self.server_address = address
        self.board = board
        self.client = client
        self.closed = False
        self.served: ServedFile | None = None
        self.asked_name: str | None = None
        self._request = b""
        self._heard = False
        self._throttle: ProgressThrottle | None = None
        self._began_s = time.monotonic()
        self.state = _Start(self)

    def start(self, buffer: bytes) -> None:
        """Bind to the address that was asked and hear only this client; then answer its request."""
        self.sock.bind((self.server_address, 0))
        self.sock.connect(self.client)
        self._request = buffer
        self.last_update = time.time()
        self.state = self.state.handle(read_request(buffer), *self.client)

    def was_begun_by(self, packet: bytes) -> bool:
        """Return whether this request began the session, and came again before our answer did."""
        return packet == self._request and not self._heard

    def cycle_or_resend(self) -> None:
        """Take the client's next packet; one that repeats an old ACK means that our last packet was lost."""
        self._heard = True
        try:
            self.cycle()
        except TftpTimeoutExpectACK:
            self.state.resendLast()

    def tell_progress(self) -> None:
        """Emit the beginning of the transfer once data flows, then its progress.

        Not before: UEFI firmware asks for the size first and breaks off on purpose.
        """
        if self.served is None or self.metrics.bytes == 0:
            return
        file, now_s = self.served, time.monotonic()
        data = {"path": file.url_path, "role": file.role, "size": file.size}
        if self._throttle is None:
            self._throttle = ProgressThrottle(file.size, now_s)
            self._tell("tftp.start", file.url_path, client=self.client[0], **data)
        elif self._throttle.due(self.metrics.bytes, now_s):
            self._tell("tftp.progress", file.url_path, sent=self.metrics.bytes, **data)

    def finish(self, error: Exception | None) -> None:
        """Close everything and tell how it went."""
        self.closed = True
        if error is None:
            self.tell_progress()
        with contextlib.suppress(Exception):
            self.end()
        path = self.served.url_path if self.served else self.asked_name
        # Some firmware takes the last block and never says so (RFC 1350 section 6 allows for it).
        if self.served is not None and (error is None or (self.pending_complete and self._sent_all())):
            seconds = round(time.monotonic() - self._began_s, 4)
            data = {"path": path, "bytes": self.metrics.bytes, "seconds": seconds, "role": self.served.role}
            self._tell("tftp.done", f"{path} {self.metrics.bytes} bytes in {seconds:.2f} s", **data)
        elif isinstance(error, _BoardStopped):
            # Before the first data this is a question for the size; later a loader that read the start only.
            if self.metrics.bytes:
                data = {"path": path, "bytes": self.metrics.bytes, "reason": str(error)}
                self._tell("tftp.closed", f"{path}: {error}", **data)
        elif path is not None:
            reason = str(error) if isinstance(error, (_Refused, OSError)) else "a packet made no sense"
            code = {"code": "file-changed"} if isinstance(error, _Changed) else {}
            self._tell("tftp.error", f"{path}: {reason}", path=path, reason=reason, **code)

    def _tell(self, kind: str, text: str, **data: Any) -> None:
        self.board.emit(Event("tftp", kind, text, data))

    def _sent_all(self) -> bool:
        return self.served is not None and self.metrics.bytes == self.served.size


class _Quiet(TftpState):  # type: ignore[misc]
    """A state with nothing to send again."""

    def resendLast(self) -> None:  # noqa: N802  tftpy's name
        if self.context.last_pkt is not None:
            super().resendLast()


class _Start(_Quiet):
    """Takes the first packet: a read request for a file of the boot, or it is refused."""

    def handle(self, packet: Any, address: str, port: int) -> TftpState:
        session: _Session = self.context
        session.tidport = port
        if isinstance(packet, TftpPacketWRQ):
            self.sendError(TftpErrors.AccessViolation)
            session.asked_name = shown(packet.filename)
            raise _Refused("writing is not possible here")
        session.asked_name = shown(packet.filename)
        self._open(packet.filename)
        self._answer({name.lower(): value for name, value in packet.options.items()})
        return _ExpectAck(session)

    def _open(self, name: str) -> None:
        session: _Session = self.context
        held = session.board.catalog.find(name)
        if held is None:
            self.sendError(TftpErrors.FileNotFound)
            raise _Refused("not a file of this boot")
        try:
            session.fileobj = open_served(held)
        except ChangedFileError as error:
            self.sendError(TftpErrors.AccessViolation)
            raise _Changed(str(error)) from None
        session.served = held.file
        session.file_to_transfer = held.file.url_path

    def _answer(self, asked: dict[str, str]) -> None:
        """Accept what is known of the options; without any, RFC 2347 wants data at once and no OACK."""
        session: _Session = self.context
        accepted = accepted_options(asked, session.served.size if session.served else 0)
        session.options = {"blksize": BLKSIZE_DEFAULT, **accepted}
        if accepted:
            answer = TftpPacketOACK()
            answer.options = accepted
            session.sock.send(answer.encode().buffer)
            session.last_pkt = answer
        else:
            session.next_block = 1
            session.pending_complete = self.sendDAT()


class _ExpectAck(_Quiet, TftpStateExpectACK):  # type: ignore[misc]
    """Data is under way."""

    def handle(self, packet: Any, address: str, port: int) -> TftpState | None:
        if isinstance(packet, TftpPacketERR):
            raise _BoardStopped(f"the board stopped it (TFTP error {packet.errorcode})")
        state: TftpState | None = super().handle(packet, address, port)
        return state


def read_request(packet: bytes) -> TftpPacketRRQ | TftpPacketWRQ:
    """Return the request in a packet (RFC 1350 5, RFC 2347) (pure); raises TftpException for what is none.

    Texts may hold any byte, because a name that is not ASCII deserves its "not found". Some PXE ROMs leave
    the byte that ends the options of DHCP at the end of the name.
    """
    kind = {b"\0\1": TftpPacketRRQ, b"\0\2": TftpPacketWRQ}.get(packet[:2])
    texts = packet[2:].decode("latin-1").split("\0")
    # Two texts and pairs of texts, each ended by a NUL: the last piece is empty.
    if kind is None or len(texts) % 2 == 0 or len(texts) < 3 or texts.pop() or "" in texts[1:]:
        raise _Refused("not a request")
    request = kind()
    request.filename, request.mode = texts[0].rstrip("\xff"), texts[1].lower()
    request.options = dict(zip(texts[2::2], texts[3::2], strict=True))
    return request


def accepted_options(asked: dict[str, str], size: int) -> dict[str, str]:
    """Return the options to confirm (pure): names in lower case, `size` the file's bytes.

    An option whose value the standard does not allow is as one that was not asked for: left out of the
    answer, the transfer goes on without it (RFC 2347). A block may be made smaller, never larger (RFC 2348).
    """
    accepted: dict[str, str] = {}
    blksize = _number(asked.get("blksize"))
    if blksize is not None and blksize >= BLKSIZE_MIN:
        accepted["blksize"] = str(min(blksize, BLKSIZE_MAX))
    if "tsize" in asked:
        # RFC 2349 wants 0 here; what else a client writes says nothing to a reader.
        accepted["tsize"] = str(size)
    return accepted


def _number(text: str | None) -> int | None:
    """Return an option's value as RFC 2347 writes it, in ASCII digits, None for anything else."""
    return int(text) if text is not None and _DIGITS.fullmatch(text) else None


def _bound(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    try:
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        raise bind_error("TFTP", "UDP", address, port, error) from None
    return sock
