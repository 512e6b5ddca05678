"""WireGuard's first message, made from a key and any time: what a clock that is ahead would have said.

As a program, in the namespace of a tunnel's end: `initiation.py CONFIG AHEAD_S` waits until wg0 is taken away
and then says one initiation with the configuration's key, its time AHEAD_S seconds from now; again each time.
Noise_IKpsk2 without a pre-shared key (the whitepaper, 5.4.2).
"""

from __future__ import annotations

import base64
import hmac
import os
import socket
import struct
import sys
import time
from hashlib import blake2s
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
_IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
_TAI64_BASE = 0x400000000000000A
INITIATION_BYTES = 148


def _hash(*parts: bytes) -> bytes:
    return blake2s(b"".join(parts)).digest()


def _derive(key: bytes, data: bytes) -> tuple[bytes, bytes]:
    first = hmac.digest(hmac.digest(key, data, "blake2s"), b"\1", "blake2s")
    return first, hmac.digest(hmac.digest(key, data, "blake2s"), first + b"\2", "blake2s")


def initiation(private: bytes, peer: bytes, at_s: float) -> bytes:
    """Return the message by which the owner of `private` greets `peer` at a time (seconds since 1970)."""
    own, there = X25519PrivateKey.from_private_bytes(private), X25519PublicKey.from_public_bytes(peer)
    once = X25519PrivateKey.generate()
    public = once.public_key().public_bytes_raw()
    chain = _hash(_CONSTRUCTION)
    said = _hash(_hash(_hash(chain, _IDENTIFIER), peer), public)
    chain, _ = _derive(chain, public)
    chain, key = _derive(chain, once.exchange(there))
    static = ChaCha20Poly1305(key).encrypt(bytes(12), own.public_key().public_bytes_raw(), said)
    said = _hash(said, static)
    chain, key = _derive(chain, own.exchange(there))
    stamp = struct.pack("!QI", _TAI64_BASE + int(at_s), int(at_s % 1 * 1e9))
    sealed = ChaCha20Poly1305(key).encrypt(bytes(12), stamp, said)
    message = struct.pack("<B3x4s", 1, os.urandom(4)) + public + static + sealed
    mac = blake2s(message, digest_size=16, key=_hash(b"mac1----", peer)).digest()
    return message + mac + bytes(16)


def read_config(text: str) -> tuple[bytes, bytes, tuple[str, int]]:
    """Return private key, peer's key and endpoint of a configuration as `wg setconf` reads it."""
    words = dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)
    host, _, port = words["Endpoint"].rpartition(":")
    return base64.b64decode(words["PrivateKey"]), base64.b64decode(words["PublicKey"]), (host, int(port))


def _there() -> bool:
    return "wg0" in {name for _, name in socket.if_nameindex()}


def main(config: str, ahead_s: str) -> None:
    """Say it whenever the tunnel has gone."""
    private, peer, endpoint = read_config(Path(config).read_text(encoding="ascii"))
    before = False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        while True:
            now = _there()
            if before and not now:
                sock.sendto(initiation(private, peer, time.time() + float(ahead_s)), endpoint)
            before = now
            time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
