"""Who a person is to the others who use a board: their own name, not that of the account they work under."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping

AS_VARIABLE = "BRINGUP_AS"
"""What somebody calls themselves; the only way to tell people apart who share a login."""


def person(
    environment: Mapping[str, str] = os.environ,
    *,
    uid: Callable[[], int] = os.geteuid,
    login: Callable[[], str] = os.getlogin,
) -> str:
    """Return who works here: $BRINGUP_AS, who called sudo, who logged in, else the account.

    Somebody who came by ssh is told apart from others of the same login by where they came from. `login` is
    who logged in, by the kernel's audit id (getlogin(3)); it raises OSError where nobody did.
    """
    if named := environment.get(AS_VARIABLE):
        return named
    became_root = (environment.get("SUDO_USER") or environment.get("DOAS_USER")) if uid() == 0 else None
    return (became_root or _login(login) or _account(uid())) + _where_from(environment)


def _login(login: Callable[[], str]) -> str | None:
    try:
        return login()
    except OSError:  # a container, or a service
        return None


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _where_from(environment: Mapping[str, str]) -> str:
    """Return the other end of an ssh connection (sshd(8), SSH_CONNECTION), empty for a local login."""
    words = environment.get("SSH_CONNECTION", "").split()
    return f" from {words[0]}" if words else ""
