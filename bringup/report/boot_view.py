"""What a person sees while a board boots: one line per thing that happened, and what is awaited now."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from bringup.base.events import Event
from bringup.base.size import rough_size
from bringup.base.stage import Stage
from bringup.boot.plan import Plan
from bringup.report.output import BELOW_LABEL, say, say_folded
from bringup.report.run import image_line
from bringup.report.screen import fitted, fold_width, folded, is_terminal
from bringup.report.style import Mark, glyph
from bringup.report.transfer import TRANSFERS, transfer_text
from bringup.transcript.markers import is_ours
from bringup.transcript.suite import test_words

if TYPE_CHECKING:
    from rich.live import Live
    from rich.spinner import Spinner

_REFRESH_S = 0.2
_TEXT_COLUMN = 24


class BootView:
    """Listens to a run's events; on a terminal the last line shows what is awaited and for how long."""

    def __init__(self, image: Mapping[str, Any] | None, *, usual_s: float | None) -> None:
        self._image = image
        self._usual_s = usual_s
        # Whether the board is to boot what this host serves: else its disk's loader is the right one.
        self._serves: bool | None = None
        self._origin_s = time.monotonic()
        self._live: Live | None = None
        self._spinner: Spinner | None = None
        self._awaited = "starting"
        self._since_s = self._origin_s
        self._told_stages: set[str] = set()
        self._told_failure = False
        self._failed_line: tuple[str, int] | None = None
        self._refreshed_s = 0.0
        self._served_any = False

    def __enter__(self) -> BootView:
        if self._image is not None:
            say_folded(f"image     {image_line(self._image)}", indent=BELOW_LABEL)
        if is_terminal(sys.stderr):
            from rich.console import Console
            from rich.live import Live
            from rich.spinner import Spinner

            # Not redirected: what else asks stderr whether it is a terminal must get a true answer.
            self._spinner = Spinner("dots")
            self._live = Live(
                self._spinner,
                console=Console(stderr=True),
                redirect_stderr=False,
                redirect_stdout=False,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        """Show one event, if it is one that people need."""
        if event.kind == "run.begin":
            self._origin_s = self._since_s = event.at_s
        self._served_any = self._served_any or event.kind in _SERVING
        line = self._line(event)
        if line is not None:
            mark, name, text = line
            self._print(event.at_s - self._origin_s, glyph(mark), name, text)
        if event.kind == "run.step" and event.data["step"] == "serve":
            self._serves = True
        elif event.kind == "run.step" and event.data["step"] == "power":
            self._serves = bool(self._serves)
        if event.kind == "run.step" and event.data["state"] == "begin" and event.data["step"] != "watch":
            self._await(event.text, event.at_s)
        elif event.kind == "run.waiting":
            self._await(_waiting_text(event), event.at_s)
        elif event.kind == "console.test" and not event.data.get("failed"):
            test = event.data
            self._awaited = f"test {test_words(test['number'], test.get('of'), test['name'])}"
        elif event.kind in TRANSFERS:
            self._awaited = transfer_text(event)
        if self._spinner is not None and event.at_s - self._refreshed_s >= _REFRESH_S:
            self._refreshed_s = event.at_s
            self._spinner.update(text=self._waiting(event.at_s))
        if self._live is not None and event.source in ("power", "disk"):
            self._give_way(self._live, to_a_question=event.kind in ("power.ask", "disk.ask"))

    @staticmethod
    def _give_way(live: Live, *, to_a_question: bool) -> None:
        """Leave the terminal alone while a person is asked there, and until what comes of it."""
        if to_a_question:
            live.stop()
        elif not live.is_started:
            live.start()

    def _line(self, event: Event) -> tuple[Mark, str, str] | None:
        show = _LINES.get(event.kind)
        return None if show is None else show(self, event)

    def _await(self, what: str, since_s: float) -> None:
        self._awaited, self._since_s = what, since_s

    def _waiting(self, now_s: float) -> str:
        elapsed_s = now_s - self._origin_s
        whole = (
            f"{elapsed_s:.0f} s"
            if self._usual_s is None
            else f"{elapsed_s:.0f} of usually {self._usual_s:.0f} s"
        )
        return f"{self._awaited}  {now_s - self._since_s:.0f} s     boot {whole}"

    def _print(self, at_s: float, mark: str, name: str, told: str) -> None:
        width = fold_width(sys.stderr)
        below = "\n" + " " * _TEXT_COLUMN
        told = below.join(folded([told], width and width - _TEXT_COLUMN, 0))
        text = f"{at_s:6.1f} s  {mark} {name:<10}  {told}"
        if self._live is None:
            say(text)
        else:
            from rich.text import Text

            self._live.console.print(Text.from_ansi(fitted(text, sys.stderr)), soft_wrap=True)

    # One small function per kind of event that people read.

    def _stage(self, event: Event) -> tuple[Mark, str, str] | None:
        name, port = event.data["stage"], event.data.get("port")
        if port:
            return self._other_port(name, port, event)
        vm = event.data.get("vm")
        # Where nothing was fetched from here, a loader that is not ours lay on the board.
        ours = (
            self._serves is False
            or self._served_any
            or name != str(Stage.LOADER)
            or is_ours(str(event.data.get("marker")))
        )
        key = f"{name if ours else 'disk'}/{vm}" if vm is not None or not ours else name
        if name is None or key in self._told_stages or Stage(name) in _SHOWN_BY_SERVERS:
            return None
        self._told_stages.add(key)
        if not ours:
            return "bad", "disk", f'"{event.text.strip()[:90]}"'
        label = _STAGE_LABEL.get(name, name)
        which = "" if vm is None else f"{event.data.get('vm_name') or f'VM {vm}'}: "
        return "ok", label, f'{which}"{event.text.strip()[:90]}"'

    def _other_port(self, name: str | None, port: str, event: Event) -> tuple[Mark, str, str] | None:
        """Tell the first line of each stage that the image shows where the console does not read."""
        key = f"{name}/{port}"
        if name is None or key in self._told_stages or Stage(name) < Stage.KERNEL:
            return None
        self._told_stages.add(key)
        return "ok", port, f'"{event.text.strip()[:90]}"'

    def _power(self, event: Event) -> tuple[Mark, str, str]:
        return "ok", "power", event.text

    def _failure(self, event: Event) -> tuple[Mark, str, str] | None:
        # What only says that something went wrong before adds nothing to a line that says what.
        if self._told_failure and event.data.get("generic"):
            return None
        port = event.data.get("port", "board")
        line = (port, event.data.get("line", 0))
        # One line may say several things, the particular one first.
        if line[1] and line == self._failed_line:
            return None
        self._told_failure, self._failed_line = True, line
        return "bad", port, event.text.strip()

    def _override(self, event: Event) -> tuple[Mark, str, str] | None:
        return ("ok", "override", event.text) if event.data.get("device") != "none" else None

    def _served(self, event: Event) -> tuple[Mark, str, str] | None:
        role = event.data.get("role", "other")
        label = _ROLE_LABEL.get(role)
        if label is None:
            return None
        count, seconds = event.data["bytes"], event.data["seconds"]
        protocol = event.source.upper()
        rate = ""
        if count >= 1 << 20 and seconds > 0:
            rate = f"  {rough_size(round(count / seconds))}/s"
        return "ok", label, f"{rough_size(count)} by {protocol}{rate}"

    def _dhcp(self, event: Event) -> tuple[Mark, str, str] | None:
        key = f"dhcp/{event.data.get('file')}"
        if key in self._told_stages:
            return None
        self._told_stages.add(key)
        return "ok", "dhcp", event.text


def boot_display(plan: Plan, usual_s: float | None) -> BootView:
    """Return what shows the run of a plan; `usual_s` is how long it took before, None where that is not
    known.
    """
    return BootView(plan.image, usual_s=usual_s)


def _waiting_text(event: Event) -> str:
    expected_s, timeout_s = event.data["expected_s"], event.data["timeout_s"]
    if timeout_s is None:
        return event.text
    return f"{event.text} (expected {expected_s:.0f} s, at most {timeout_s:.0f} s)"


_SHOWN_BY_SERVERS = {Stage.POWER, Stage.DHCP, Stage.KERNEL_IMAGE, Stage.MODULES}
_SERVING = frozenset({"tftp.start", "http.start", "tftp.progress", "http.progress", "tftp.done", "http.done"})
_STAGE_LABEL = {"user-space": "user space", "kernel": "started"}
_ROLE_LABEL = {
    "loader": "loader",
    "kernel": "kernel",
    "module": "module",
    "initrd": "initrd",
    "boot-image": "image",
}


def _plain(label: str, mark: Mark = "ok") -> Any:
    return lambda _view, event: (mark, label, event.text)


_LINES: dict[str, Any] = {
    "console.attached": _plain("console"),
    "run.servers_again": _plain("servers", "bad"),
    "console.lost": _plain("console", "bad"),
    "console.gap": _plain("console", "bad"),
    "console.held": _plain("console", "bad"),
    "console.retaken": _plain("console"),
    "console.port": _plain("console", "bad"),
    "console.writer": _plain("careful", "bad"),
    "console.prompted": _plain("console"),
    "console.answered": lambda _view, event: ("ok", "console", f'answered "{event.text}"'),
    "console.stage": BootView._stage,
    "console.failure": BootView._failure,
    "override.read": BootView._override,
    "override.proven": _plain("override"),
    "override.unsure": _plain("override", "bad"),
    "override.left": _plain("override", "bad"),
    "override.absent": _plain("override"),
    "run.passed_over": _plain("careful", "bad"),
    "power.state": BootView._power,
    "dhcp.ack": BootView._dhcp,
    "dhcp.reply": BootView._dhcp,
    "tftp.done": BootView._served,
    "http.done": BootView._served,
    "tftp.error": _plain("tftp", "bad"),
    "http.error": _plain("http", "bad"),
    "twin.up": _plain("twin"),
    "power.found": _plain("board"),
    "power.left": _plain("power", "bad"),
    "power.again": _plain("power", "bad"),
    "power.unclear": _plain("power", "bad"),
    "power.putting_back": _plain("power"),
    "board.unknown": _plain("board", "bad"),
    "board.met": _plain("board"),
    "bmc.silent": _plain("BMC", "bad"),
    "bmc.back": _plain("BMC"),
    "console.probe": _plain("ramdisk"),
    "console.report": _plain("report"),
    "console.report_lost": _plain("report", "bad"),
    "http.upload": _plain("capture"),
    "console.upload": _plain("capture"),
    "disk.ready": _plain("ramdisk"),
    "disk.found": _plain("disk"),
    "disk.chosen": _plain("chosen"),
    "disk.rivals": _plain("careful", "bad"),
    "disk.consent": _plain("consent"),
    "disk.done": _plain("disk"),
    "disk.written": _plain("written"),
    "disk.next": _plain("next"),
    "disk.slot": _plain("slot"),
    "disk.slots": _plain("slots"),
    "disk.damaged": _plain("slot", "bad"),
    "disk.key": _plain("keep"),
    "disk.rolled_back": _plain("rollback"),
    "disk.confirmed": _plain("keep"),
}
