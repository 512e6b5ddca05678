"""Files written whole or not at all, and drafts read without writing anything."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bringup.base.errors import UsageError
from bringup.base.whole_file import write_whole
from bringup.camkes.app.load import load_application
from bringup.camkes.app.preprocess import Own, Preprocessor
from bringup.camkes.text.file import keep_backup, read_file, replace_kept

HEAD = "assembly { composition { component Init0 vm0; } configuration {\n"
TAIL = "} }\n"


def values(path: Path, data: bytes, **options: object) -> dict[str, object]:
    application = load_application(path, data=data, **options)  # type: ignore[arg-type]
    return {f"{s.instance}.{s.attribute}": s.value for s in application.settings}


def test_a_draft_is_read_as_it_will_be_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "far").mkdir()
    (tmp_path / "CMakeLists.txt").touch()
    (tmp_path / "ram.h").write_text("#define RAM 64\n")
    (tmp_path / "sub" / "ram.h").write_text("#define RAM 32\n")
    (tmp_path / "far" / "far.h").write_text('#include "near.h"\n')
    (tmp_path / "far" / "near.h").write_text("#define NEAR 1\n")
    (tmp_path / "sub" / "near.h").write_text("#define NEAR 2\n")
    (tmp_path / "sub" / "part.camkes").write_text("component Other { control; }\n")
    app = tmp_path / "sub" / "app.camkes"
    text = '#include "ram.h"\n#include "../far/far.h"\nimport "part.camkes";\n'
    text += f"{HEAD}vm0.a = RAM; vm0.b = NEAR;\n{TAIL}"
    (tmp_path / "sub").chmod(0o500)
    before = sorted(tmp_path.rglob("*"))
    try:
        drafted = values(app, text.encode())
    finally:
        (tmp_path / "sub").chmod(0o700)
    assert drafted == {"vm0.a": 32, "vm0.b": 1}
    assert sorted(tmp_path.rglob("*")) == before
    app.write_text(text)
    assert values(app, app.read_bytes()) == drafted


def test_a_drafts_mistakes_are_told_in_the_file_it_will_be(in_folder: Path) -> None:
    app = Path("app.camkes")
    app.write_text("// what stands there now\n\n\n\n")
    for text, says in (
        ("#define X 1\n\nassembly { vm0 }\n", "app.camkes:3:"),
        (
            '#define X 1\n#include "gone.h"\n',
            "app.camkes:2:10: the included file gone.h is not found\n    #inc",
        ),
        ("#define X 1\n#error here\n", "app.camkes:2:2: #error here\n    #error here"),
    ):
        with pytest.raises(UsageError) as caught:
            load_application(app, data=text.encode())
        assert says in caught.value.message and "stdin" not in caught.value.message
    application = load_application(app, data=f"#define V 5\n{HEAD}vm0.a = V;\n{TAIL}".encode())
    assert [str(s.place) for s in application.settings] == ["app.camkes:3:1"]
    assert application.files == ("app.camkes",)


def test_a_header_that_only_lies_beside_the_file_is_missing_for_angles(in_folder: Path) -> None:
    (in_folder / "conf").mkdir()
    (in_folder / "conf" / "vm.h").write_text("#define RAM 5\n")
    text = f"#include <conf/vm.h>\n#include <conf/gone.h>\n{HEAD}vm0.a = RAM;\n{TAIL}".encode()
    with pytest.raises(UsageError, match=r"conf/vm\.h is not found"):
        load_application(Path("app.camkes"), data=text)
    application = load_application(Path("app.camkes"), data=text, allow_missing=True)
    assert application.missing_includes == ("conf/vm.h", "conf/gone.h")
    whole = load_application(Path("app.camkes"), data=text, include=[in_folder], allow_missing=True)
    assert whole.missing_includes == ("conf/gone.h",)


def test_an_include_that_waits_for_somebody_ends(in_folder: Path) -> None:
    os.mkfifo(in_folder / "pipe")
    with pytest.raises(UsageError, match="could not be preprocessed"):
        Preprocessor(Own.of(Path("app.camkes"), ()), timeout_s=0.5).run(
            Path("app.camkes"), '#include "pipe"\n'
        )


def test_a_file_is_written_whole_or_not_at_all(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = in_folder / "app.camkes"
    app.write_bytes(b"old")
    app.chmod(0o640)
    (in_folder / "link.camkes").symlink_to("app.camkes")
    write_whole(in_folder / "link.camkes", b"new")
    assert (app.read_bytes(), stat.S_IMODE(app.stat().st_mode)) == (b"new", 0o640)
    assert (in_folder / "link.camkes").is_symlink()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match=r"cannot write .*: no space left"):
        write_whole(app, b"newer")
    assert app.read_bytes() == b"new"
    assert sorted(path.name for path in in_folder.iterdir()) == ["app.camkes", "link.camkes"]


def test_what_somebody_else_wrote_meanwhile_is_not_lost(in_folder: Path) -> None:
    app = in_folder / "app.camkes"
    app.write_bytes(b"theirs")
    with pytest.raises(UsageError, match="changed by somebody else"):
        replace_kept(app, b"as it was read", b"ours")
    assert app.read_bytes() == b"theirs" and len(list(in_folder.iterdir())) == 1
    assert replace_kept(app, b"theirs", b"ours").read_bytes() == b"theirs"
    assert keep_backup(app, b"theirs").name == "app.camkes.bak"
    assert keep_backup(app, b"ours").name == "app.camkes.bak2"


def test_what_keeps_a_reader_waiting_is_not_waited_for(in_folder: Path) -> None:
    os.mkfifo(in_folder / "pipe")
    with pytest.raises(UsageError, match="pipe is not a file"):
        read_file(Path("pipe"))
    with pytest.raises(UsageError, match="cannot be read"):
        read_file(Path("a\0b"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/kmsg").exists(), reason="no /proc/kmsg")
def test_the_kernels_log_is_no_application() -> None:
    program = "from bringup.camkes.text.file import read_file"
    script = f"from pathlib import Path; {program}; read_file(Path('/proc/kmsg'))"
    # Read or refused, by whether one may: it is not waited for.
    done = subprocess.run([sys.executable, "-c", script], timeout=200, check=False, capture_output=True)
    assert done.returncode == 0 or b"/proc/kmsg" in done.stderr
