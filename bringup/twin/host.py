"""What this computer offers to run the twin on. Asked when needed, never at import."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct

from bringup.twin.bochs.config import PROGRAM

INSTALL_BOCHS = "apt install --no-install-recommends bochs bochs-term bochsbios vgabios"

# linux/kvm.h: KVM_GET_SUPPORTED_CPUID is _IOWR(0xae, 5, struct kvm_cpuid2), whose head is two u32 and whose
# entries are ten u32: function, index, flags, eax, ebx, ecx, edx, padding.
_GET_SUPPORTED_CPUID = 0xC008AE05
_ENTRIES = 256
_ENTRY = struct.Struct("10I")
_VMX = 1 << 5  # leaf 1, ECX


class Host:
    """This computer."""

    def nests_vtx(self) -> bool:
        """Return whether KVM gives VT-x to guests: /dev/kvm alone is no proof, so it is asked itself."""
        try:
            descriptor = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            answer = bytearray(struct.pack("2I", _ENTRIES, 0) + bytes(_ENTRIES * _ENTRY.size))
            fcntl.ioctl(descriptor, _GET_SUPPORTED_CPUID, answer)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return offers_vmx(bytes(answer))

    def has_bochs(self) -> bool:
        """Return whether Bochs is installed."""
        return shutil.which(PROGRAM) is not None


def offers_vmx(answer: bytes) -> bool:
    """Return whether an answer to KVM_GET_SUPPORTED_CPUID has VT-x among the features (pure)."""
    (count,) = struct.unpack_from("I", answer)
    entries = (_ENTRY.unpack_from(answer, 8 + number * _ENTRY.size) for number in range(count))
    return any(entry[0] == 1 and entry[5] & _VMX for entry in entries)


HOST = Host()
