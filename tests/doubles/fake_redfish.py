"""A Redfish service over TLS with one system, whose moods a test sets; every request is kept."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SYSTEM = "/redfish/v1/Systems/1"
MANAGER = "/redfish/v1/Managers/1"
MEDIA = f"{MANAGER}/VirtualMedia"
DISC = f"{MEDIA}/CD1"
LOGS = f"{SYSTEM}/LogServices"
MANAGER_LOGS = f"{MANAGER}/LogServices"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
USER, PASSWORD = "ADMIN", "secret-of-redfish"


@dataclass
class FakeRedfish:
    """The state of the service; `refuse` is a status and a message for the next requests of a method."""

    system: dict[str, Any] = field(
        default_factory=lambda: {
            "@odata.id": SYSTEM,
            "@odata.etag": 'W/"1"',
            "UUID": "27946B59-9E44-4FA7-8E91-F3527A1EF094",
            "PowerState": "Off",
            "Links": {"ManagedBy": [{"@odata.id": MANAGER}]},
            "Boot": {"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"},
            "Actions": {
                "#ComputerSystem.Reset": {
                    "target": RESET,
                    "ResetType@Redfish.AllowableValues": [
                        "On",
                        "ForceOff",
                        "ForceRestart",
                        "GracefulShutdown",
                    ],
                }
            },
        }
    )
    members: tuple[str, ...] = (SYSTEM,)
    refuse: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    forgets: set[str] = field(default_factory=set)
    """Members of `Boot` that it takes and does not keep."""
    image: str | None = None
    unreachable: bool = False
    """Whether what it is told to fetch does not come, which it does not say."""
    logs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """The entries of each log by its path; `pages` is how many come at once, `bare` whether as links."""
    pages: int = 100
    bare: bool = False
    bmc_time: str | None = "2026-11-28T10:00:00Z"
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    port: int = 0
    certificate: str = ""

    def answer(self, method: str, path: str, body: Any, etag: str | None) -> tuple[int, Any]:
        self.asked.append((method, path, body))
        if self.refuse.get(method):
            status, message = self.refuse[method].pop(0)
            return status, {"error": {"message": "General", "@Message.ExtendedInfo": [{"Message": message}]}}
        if method == "GET":
            found = {
                "/redfish/v1/": {"Systems": {"@odata.id": "/redfish/v1/Systems"}},
                "/redfish/v1/Systems": {"Members": [{"@odata.id": each} for each in self.members]},
                SYSTEM: self._with_logs(self.system, LOGS),
                MANAGER: self._with_logs(
                    {"VirtualMedia": {"@odata.id": MEDIA}, "DateTime": self.bmc_time}, MANAGER_LOGS
                ),
                **self._of_logs(),
                MEDIA: {"Members": [{"@odata.id": f"{MEDIA}/Floppy1"}, {"@odata.id": DISC}]},
                f"{MEDIA}/Floppy1": {"Id": "Floppy1", "MediaTypes": ["Floppy"], "Image": None},
                DISC: self._disc(),
            }.get(path)
            return (404, {"error": {"message": "no such resource"}}) if found is None else (200, found)
        if method == "PATCH" and path == SYSTEM:
            if etag != self.system["@odata.etag"]:
                return 412, {"error": {"message": "precondition failed"}}
            boot = {key: value for key, value in body["Boot"].items() if key not in self.forgets}
            self.system["Boot"] = {**self.system["Boot"], **boot}
            return 204, None
        if method == "POST" and path == RESET:
            self.system["PowerState"] = (
                "Off" if body["ResetType"] in ("ForceOff", "GracefulShutdown") else "On"
            )
            return 204, None
        if method == "POST" and path == f"{DISC}/Actions/VirtualMedia.InsertMedia":
            if set(body) != {"Image"}:
                return 400, {"error": {"message": "ActionParameterUnknown"}}
            self.image = None if self.unreachable else body["Image"]
            return 204, None
        if method == "POST" and path == f"{DISC}/Actions/VirtualMedia.EjectMedia":
            self.image = None
            return 204, None
        return 404, None

    def _with_logs(self, body: dict[str, Any], services: str) -> dict[str, Any]:
        has = any(path.startswith(services) for path in self.logs)
        return {**body, "LogServices": {"@odata.id": services}} if has else body

    def _of_logs(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            services: {"Members": [{"@odata.id": path} for path in self.logs if path.startswith(services)]}
            for services in (LOGS, MANAGER_LOGS)
        }
        for path, entries in self.logs.items():
            found[path] = {"Entries": {"@odata.id": f"{path}/Entries"}}
            links = [f"{path}/Entries/{number}" for number in range(len(entries))]
            whole = [{"@odata.id": link, **entry} for link, entry in zip(links, entries, strict=True)]
            found.update(zip(links, whole, strict=True))
            shown = [{"@odata.id": link} for link in links] if self.bare else whole
            for start in range(0, max(1, len(entries)), self.pages):
                more = start + self.pages
                following = {"Members@odata.nextLink": f"{path}/Entries?skip={more}"}
                page = {"Members": shown[start:more], **(following if more < len(entries) else {})}
                found[f"{path}/Entries?skip={start}" if start else f"{path}/Entries"] = page
        return found

    def _disc(self) -> dict[str, Any]:
        kinds = ["CD", "DVD"]
        return {
            "@odata.id": DISC,
            "Id": "CD1",
            "MediaTypes": kinds,
            "Image": self.image,
            "Inserted": bool(self.image),
        }


@contextmanager
def serving(fake: FakeRedfish, folder: Path) -> Iterator[FakeRedfish]:
    """Serve `fake` on a port of this host, with a certificate made for it."""

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            login = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            status, answer = (
                fake.answer(self.command, self.path, body, self.headers.get("If-Match"))
                if self.headers.get("Authorization") == login
                else (401, {"error": {"message": "who are you?"}})
            )
            data = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PATCH = do_POST = _do  # noqa: N815

        def log_message(self, *_words: object) -> None:
            return

    key, certificate, fake.certificate = make_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def make_certificate(folder: Path) -> tuple[Path, Path, str]:
    """Return key and certificate of 127.0.0.1 as files, and the certificate's SHA-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    key_file, certificate_file = folder / "key.pem", folder / "certificate.pem"
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    digest = hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest()
    return key_file, certificate_file, digest
