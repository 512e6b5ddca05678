"""The LAN side of the BMC: RMCP+ sessions over UDP.

pyghmi's `ServerSession` codes and decodes the packets of a session (authentication code, AES, framing).
The rest of pyghmi's server is not used, for reasons seen in 1.6.19: it answers cipher suite 3 to every
proposal, is silent to a wrong user or password, never expires a session, finds sessions by the peer's address
rather than by their id, and keeps sockets and timers in tables of the whole process.
"""

from __future__ import annotations

import secrets
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from pyghmi.ipmi.private.serversession import ServerSession

from bringup.twin.bmc.rakp import Account, Handshake, Keys, LoginRefusedError, OpenRequest, Status, refusal
from bringup.twin.bmc.request import Privilege, Request, Response

INACTIVITY_S = 60.0
LOGIN_S = 10.0
MAX_SESSIONS = 32
_RMCP_IPMI = bytes([0x06, 0x00, 0xFF, 0x07])
_RMCP_ASF = bytes([0x06, 0x00, 0xFF, 0x06])
_RMCP_PLUS = 0x06
_NO_SESSION = bytes(4)
_MESSAGE, _SOL = 0x00, 0x01
_OPEN_REQUEST, _OPEN_RESPONSE = 0x10, 0x11
_RAKP1, _RAKP2, _RAKP3, _RAKP4 = 0x12, 0x13, 0x14, 0x15
_MIN_MESSAGE = 7
_ASF_PING, _ASF_PONG = 0x80, 0x40

Run = Callable[[Request], Response]


class LanSession(ServerSession):  # type: ignore[misc]
    """One session from its open request to its end."""

    def __new__(cls, *_arguments: Any) -> LanSession:
        """Make an ordinary object: pyghmi's own takes other arguments."""
        return object.__new__(cls)

    def __init__(
        self, server: LanServer, client: tuple[str, int], console_id: bytes, own: bytes, handshake: Handshake
    ) -> None:
        self._server = server
        self.console_id = console_id
        self.managed_id = own
        self.handshake: Handshake | None = handshake
        self.username = ""
        self.privilege = self.max_privilege = Privilege.NONE
        self.last_seen = server.now()
        self.closing = False
        self._set_codec(client, server.socket)

    def __repr__(self) -> str:
        return f"LanSession({self.username!r}, {self.managed_id.hex()})"

    def _set_codec(self, client: tuple[str, int], sock: socket.socket) -> None:
        # What pyghmi's packet code reads; its own __init__ would register the session process-wide.
        self.socket, self.sockaddr = sock, client
        self.servermode, self.ipmiversion, self.authtype = True, 2.0, 6
        self.rqaddr, self.rqlun, self.seqlun = 0x20, 0, 0
        self.sequencenumber = self.sessionid = 0
        self.localsid = int.from_bytes(self.managed_id, "little")
        self.remseqnumber: int | None = None
        self.integrityalgo: Any = 0
        self.confalgo: Any = 0
        self.k1: bytes | None = None
        self.aeskey: bytes | None = None
        self.lastpayload = self.last_payload_type = None
        self.pendingpayloads: deque[Any] = deque()
        self._customkeepalives = None
        self.ipmicallback = self._on_command
        self.sol_handler = self._on_sol

    @property
    def established(self) -> bool:
        """Whether login is complete."""
        return self.k1 is not None

    def establish(self, account: Account, limit: Privilege, handshake: Handshake, keys: Keys) -> None:
        """Turn on integrity and encryption after RAKP message 4."""
        self.username, self.max_privilege = account.name, limit
        self.privilege = min(Privilege.USER, limit)
        self.currhashlib, self.currhashlen = handshake.hash, handshake.code_length
        self.k1, self.aeskey = keys.k1, keys.aes
        self.integrityalgo, self.confalgo = "sha", "aes"
        self.sequencenumber = 1
        self.sessionid = int.from_bytes(self.console_id, "little")
        self.handshake = None

    def close(self) -> None:
        """End the session once the answer to the present command is out."""
        self.closing = True

    def receive(self, packet: bytes) -> None:
        """Handle a packet that names this session; anything not authentic or repeated is dropped."""
        sequence = int.from_bytes(packet[10:14], "little")
        if not self.established or sequence == self.remseqnumber:
            return
        try:
            self._handle_ipmi2_packet(bytearray(packet))
        except (IndexError, ValueError, struct.error):
            return  # authentic but malformed

    def send_sol(self, payload: bytes) -> None:
        """Send one SOL payload."""
        if self.established:
            self.send_payload(bytearray(payload), payload_type=_SOL, retry=False)

    def _on_command(self, message: dict[str, Any]) -> None:
        self.last_seen = self._server.now()
        request = Request(message["netfn"], message["command"], bytes(message["data"]), self.privilege, self)
        response = self._server.run(request)
        self.send_ipmi_response(data=response.data, code=int(response.code))

    def _on_sol(self, payload: bytearray) -> None:
        self.last_seen = self._server.now()
        self._server.on_sol(self, bytes(payload))


class LanServer:
    """The UDP socket and its sessions; everything runs in the thread that calls `read` and `expire`."""

    def __init__(
        self,
        address: tuple[str, int],
        accounts: Sequence[Account],
        suites: Sequence[int],
        guid: bytes,
        *,
        run: Run,
        now: Callable[[], float],
        on_sol: Callable[[LanSession, bytes], None],
        on_end: Callable[[LanSession], None],
    ) -> None:
        self._accounts = {account.name: account for account in accounts}
        self._suites = suites
        self._guid = guid
        self._sessions: dict[bytes, LanSession] = {}
        self._on_end = on_end
        self.run, self.now, self.on_sol = run, now, on_sol
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(address)

    @property
    def port(self) -> int:
        """The UDP port."""
        return int(self.socket.getsockname()[1])

    def sessions(self) -> list[LanSession]:
        """Return the sessions that are logged in."""
        return [session for session in self._sessions.values() if session.established]

    def close(self) -> None:
        """Stop listening."""
        self.socket.close()

    def read(self) -> None:
        """Handle every datagram that has arrived."""
        while (datagram := self._next()) is not None:
            self._handle(*datagram)
            self._reap()

    def drop_input(self) -> None:
        """Throw away what has arrived, unanswered."""
        while self._next() is not None:
            pass

    def expire(self) -> None:
        """End sessions after a minute without a packet (IPMI 2.0 6.12.15), unfinished logins earlier."""
        now = self.now()
        for session in self._sessions.values():
            if now - session.last_seen > (INACTIVITY_S if session.established else LOGIN_S):
                session.close()
        self._reap()

    def forget_sessions(self) -> None:
        """End all sessions, logged in or not, without a word."""
        for session in self._sessions.values():
            session.close()
        self._reap()

    def refuse_suites(self) -> None:
        """Refuse every login from now on: none of the cipher suites that are proposed will do."""
        self._suites = ()

    def _next(self) -> tuple[bytes, tuple[str, int]] | None:
        try:
            # pyghmi sets the socket to blocking at every send.
            return self.socket.recvfrom(4096, socket.MSG_DONTWAIT)
        except OSError:
            return None

    def _reap(self) -> None:
        for session in [s for s in self._sessions.values() if s.closing]:
            del self._sessions[session.managed_id]
            self._on_end(session)

    def _handle(self, packet: bytes, client: tuple[str, int]) -> None:
        if packet[:4] == _RMCP_ASF:
            self._presence_pong(packet, client)
        if packet[:4] != _RMCP_IPMI or len(packet) < 16:
            return
        if packet[4] != _RMCP_PLUS:
            if packet[9:13] == _NO_SESSION and packet[4] == 0:
                self._outside_session(packet, 14, client)
        elif packet[6:10] != _NO_SESSION:
            session = self._sessions.get(packet[6:10])
            if session is not None:
                session.receive(packet)
        elif packet[5] == _MESSAGE:
            self._outside_session(packet, 16, client)
        else:
            self._login(packet[5], packet[16:], client)

    def _presence_pong(self, packet: bytes, client: tuple[str, int]) -> None:
        """Answer RMCP presence ping (ASF 2.0 3.2.4): IPMI is supported."""
        if len(packet) < 12 or packet[8] != _ASF_PING:
            return
        body = (4542).to_bytes(4, "big") + bytes(4) + bytes([0x81, 0x00]) + bytes(6)
        head = _RMCP_ASF + packet[4:8] + bytes([_ASF_PONG, packet[9], 0x00, len(body)])
        self.socket.sendto(head + body, client)

    def _outside_session(self, packet: bytes, start: int, client: tuple[str, int]) -> None:
        message = packet[start:]
        if len(message) < _MIN_MESSAGE or sum(message[:3]) & 0xFF:
            return
        target, netfn_lun, _, source, sequence, command = message[:6]
        if netfn_lun & 0x04:
            return  # a response; nobody here asked
        response = self.run(Request(netfn_lun >> 2, command, message[6:-1], Privilege.NONE))
        head = bytes([source, (netfn_lun & 0xFC) + 4 | sequence & 0x03])
        body = bytes([target, sequence & 0xFC | netfn_lun & 0x03, command, response.code]) + response.data
        answer = head + _checksum(head) + body + _checksum(body)
        size = 1 if packet[4] != _RMCP_PLUS else 2
        self.socket.sendto(packet[: start - size] + len(answer).to_bytes(size, "little") + answer, client)

    def _login(self, kind: int, payload: bytes, client: tuple[str, int]) -> None:
        if kind == _OPEN_REQUEST and len(payload) >= 32:
            self._reply(_OPEN_RESPONSE, self._open(payload, client), client)
        elif kind == _RAKP1 and len(payload) >= 28:
            self._reply(_RAKP2, self._rakp1(payload), client)
        elif kind == _RAKP3 and len(payload) >= 8:
            answer = self._rakp3(payload)
            if answer is not None:
                self._reply(_RAKP4, answer, client)

    def _reply(self, kind: int, payload: bytes, client: tuple[str, int]) -> None:
        head = _RMCP_IPMI + bytes([_RMCP_PLUS, kind]) + bytes(8) + len(payload).to_bytes(2, "little")
        self.socket.sendto(head + payload, client)

    def _open(self, payload: bytes, client: tuple[str, int]) -> bytes:
        try:
            request = OpenRequest.parse(payload, self._suites)
            if len(self._sessions) >= MAX_SESSIONS:
                raise LoginRefusedError(Status.NO_RESOURCES)
        except LoginRefusedError as refused:
            return refusal(payload[0], refused.status, payload[4:8])
        own = secrets.token_bytes(4)
        while own == _NO_SESSION or own in self._sessions:
            own = secrets.token_bytes(4)
        handshake = Handshake(request.console_id, own, self._guid, request.suite)
        self._sessions[own] = LanSession(self, client, request.console_id, own, handshake)
        return request.answer(own)

    def _rakp1(self, payload: bytes) -> bytes:
        session = self._sessions.get(payload[4:8])
        if session is None or session.handshake is None:
            return refusal(payload[0], Status.INVALID_SESSION, bytes(4))
        try:
            return session.handshake.rakp1(payload, self._accounts.get)
        except LoginRefusedError as refused:
            session.close()
            return refusal(payload[0], refused.status, session.console_id)

    def _rakp3(self, payload: bytes) -> bytes | None:
        session = self._sessions.get(payload[4:8])
        if session is None or session.handshake is None:
            return refusal(payload[0], Status.INVALID_SESSION, bytes(4))
        if payload[1] != Status.OK:
            session.close()  # the console did not like our message 2 (a wrong password shows there first)
            return None
        handshake = session.handshake
        try:
            answer, keys = handshake.rakp3(payload)
        except LoginRefusedError as refused:
            session.close()
            return refusal(payload[0], refused.status, session.console_id)
        if handshake.account is not None:
            session.establish(handshake.account, handshake.limit, handshake, keys)
        return answer


def _checksum(data: bytes) -> bytes:
    return bytes([-sum(data) & 0xFF])
