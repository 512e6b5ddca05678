"""Check: an application as it stands, with all that is known of its board and build."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bringup.base.errors import UsageError
from bringup.base.finding import Report
from bringup.boot.drift import claims_in
from bringup.camkes.model import Application
from bringup.jobs.configure.facts import Facts
from bringup.jobs.configure.request import CheckRequest
from bringup.lab.inventory import Lab
from bringup.rules.check import check


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found, and what it was judged on."""

    application: Application
    facts: Facts
    report: Report


def check_file(lab: Lab | None, path: Path | None, request: CheckRequest | None = None) -> Checked:
    """Check the application at `path`, and a generated file against what it says it was made for.

    `path` None: the file that the request's build was made from. `lab` None: no boards and no profiles but
    those that this tool brings along. Raises BringupError for what cannot be read.
    """
    request = request or CheckRequest()
    if path is None:
        path = _built(request)
    application = request.read(path)
    claims = claims_in(path)
    facts = request.facts(lab, claims.stated if claims is not None else None)
    report = check(
        application,
        assessment=facts.assessment,
        build=facts.build,
        profile=facts.profile,
        practice=facts.practice,
        claims=claims,
    )
    return Checked(application, facts, report)


def _built(request: CheckRequest) -> Path:
    if request.build_dir is None:
        raise UsageError(
            "no application is named", hint="name its .camkes file, or the build made from it: --build-dir"
        )
    from bringup.camkes.app.command import root_of

    return root_of(request.build_dir)
