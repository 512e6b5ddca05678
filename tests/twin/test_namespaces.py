"""The twin's private network where user namespaces are denied."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.twin.helpers import PATIENCE_S
from tests.twin.netboot_lab import need

pytestmark = pytest.mark.slow

MAKE = """
import subprocess
from pathlib import Path
from bringup.twin.network import Keeper
keeper = Keeper(["tap0"])
inside, here = (Path(f"/proc/{pid}/ns/user").readlink() for pid in (keeper.namespace.keeper_pid, "self"))
command = [*keeper.namespace.enter, "ip", "-brief", "address", "show", "br0"]
print(inside != here, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[2])
keeper.close()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("denied", [False, True])
def test_root_makes_the_network_without_user_namespaces(denied: bool) -> None:
    need("unshare", "nsenter", "setpriv", "ip")
    # In a container of its own, whose root may make no user namespace.
    limit = "echo 0 > /proc/sys/user/max_user_namespaces; " if denied else ""
    shell = f'{limit}exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--net", "sh", "-ec", shell, "sh"]
    words = [*command, sys.executable, "-c", MAKE]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout.split() == [str(not denied), "10.55.0.1/24"], done.stderr
