"""What a CAmkES application amounts to after cpp: values, places, merging, and mistakes in one sentence."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.errors import BringupError, MissingProgramError, UsageError
from bringup.camkes.app.adl.parse import parse
from bringup.camkes.app.expressions import ExpressionError, evaluate
from bringup.camkes.app.load import load_application
from bringup.camkes.model import Application, Unevaluated
from bringup.camkes.text.tokens import TextError, tokenize
from tests.camkes import CORPUS, FILES, expected, load, mutated, plain

SIGNS = st.sampled_from(
    ["+", "-", "*", "/", "%", "**", "<<", ">>", "&", "|", "!", "~", "<", "==", "&&", "?", "("]
)
GOOD = [path for path in FILES if expected(path).error is None]
BAD = [path for path in FILES if expected(path).error is not None]


@pytest.fixture
def application(tmp_path: Path):
    def loaded(text: str, **options: object) -> Application:
        root = tmp_path / "app.camkes"
        root.write_text(text)
        return load_application(root, **options)  # type: ignore[arg-type]

    return loaded


def in_assembly(settings: str) -> str:
    return f"assembly {{ composition {{ component I vm0; }} configuration {{\n{settings}\n}} }}\n"


def test_the_corpus_is_large_enough() -> None:
    assert len(GOOD) >= 40
    assert len(BAD) >= 15


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_values_are_what_the_file_says_they_are(path: Path) -> None:
    application = load(path)
    assert not application.missing_includes
    found = [(s.instance, s.attribute, plain(s.value), s.applied) for s in application.settings]
    wanted = expected(path).settings
    assert wanted
    for setting in wanted:
        assert setting in found
    # Where the file itself sets something, nothing may come up that it does not announce.
    if path.stem not in ("02-macro-statements", "43-pasted-names", "50-two-nics"):
        assert len(found) == len(wanted)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_setting_written_in_the_file_is_told_at_its_place(path: Path) -> None:
    for setting in load(path).settings:
        file = Path(setting.place.file)
        line = file.read_bytes().decode("utf-8", "replace").split("\n")[setting.place.line - 1]
        at_column = line[setting.place.column - 1 :]
        macro = re.match(r"[A-Z_]+\(|vm##", at_column)
        assert macro or at_column.startswith(setting.instance.rsplit(".")[-1]), (setting.place, line)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_mistake_is_one_sentence_with_its_place(path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(path)
    message = caught.value.message
    assert expected(path).error in message
    assert re.match(rf".*{re.escape(path.name)}:\d+:\d+: ", message)
    place, _, line = message.partition("\n    ")
    number = int(place.split(":")[1])
    assert line.strip() in path.read_text().split("\n")[number - 1]
    assert "Traceback" not in message


def test_files_are_listed_in_the_order_they_are_read() -> None:
    files = [Path(file).name for file in load(CORPUS / "30-import-beside.camkes").files]
    assert files == ["30-import-beside.camkes", "std_parts.camkes", "01-smallest.camkes"]
    assert [Path(file).name for file in load(CORPUS / "02-macro-statements.camkes").files] == [
        "02-macro-statements.camkes",
        "vmm.h",
    ]


def test_places_of_list_elements_and_of_included_settings() -> None:
    application = load(CORPUS / "06-condition-in-list.camkes")
    irqs = application.get("vm0", "vm_irqs")
    assert irqs is not None
    assert [(place.line, place.column) for place in irqs.places] == [(8, 13), (12, 13)]
    relocs = load(CORPUS / "47-piece-included.camkes").get("vm0", "kernel_relocs")
    assert relocs is not None
    assert (Path(relocs.place.file).name, relocs.place.line, relocs.place.column) == ("piece.h", 2, 1)


def test_instances_attributes_and_connections() -> None:
    application = load(CORPUS / "02-macro-statements.camkes")
    assert [(i.name, i.component) for i in application.instances] == [
        ("fserv", "FileServer"),
        ("clock", "Clock"),
        ("vm0", "Init0"),
        ("vm1", "Init1"),
    ]
    assert application.connections == ("serial0", "serial1")
    declared = {(a.component, a.name, a.type, a.array) for a in application.attributes}
    assert ("Init0", "kernel_cmdline", "string", False) in declared
    assert ("Init1", "serial_layout", "struct", True) in declared


def test_attribute_types() -> None:
    types = {a.name: (a.type, a.array) for a in load(CORPUS / "33-attribute-types.camkes").attributes}
    assert types == {
        "n": ("int", False),
        "m": ("int", False),
        "u": ("unsigned int", False),
        "s": ("signed", False),
        "c": ("unsigned char", False),
        "d": ("char", False),
        "text": ("string", False),
        "layout": ("mapping", True),
        "inline": ("struct", True),
        "big": ("uint64_t", False),
    }


def test_groups_are_flat_and_components_bring_their_own() -> None:
    assert [i.name for i in load(CORPUS / "24-groups.camkes").instances] == ["a", "b", "c"]
    inside = load(CORPUS / "25-components-inside.camkes")
    assert [i.name for i in inside.instances] == ["vm0", "vm1", "vm0.loader", "vm1.loader"]
    assert inside.value("vm0.loader", "size") == 7


def test_every_assignment_is_kept_and_a_free_configuration_is_not_applied() -> None:
    twice = load(CORPUS / "29-set-twice.camkes").settings
    assert [(s.value, s.place.line) for s in twice] == [(1, 3), (2, 4)]
    free = load(CORPUS / "27-free-configuration.camkes")
    assert free.get("vm0", "b") is None
    assert [s.value for s in free.settings if not s.applied] == [2]


def test_the_overlay_merges_with_the_file_it_includes() -> None:
    overlay = load(CORPUS / "28-overlay.camkes")
    heap, domain = overlay.get("vm0", "heap_size"), overlay.get("vm0", "iospace_domain")
    assert heap is not None and domain is not None
    assert (Path(heap.place.file).name, heap.value) == ("01-smallest.camkes", 4096)
    assert (Path(domain.place.file).name, domain.place.line) == ("28-overlay.camkes", 9)


def test_missing_headers_are_refused_or_passed_over(application) -> None:
    text = """#include <configurations/vm.h>
#include "../beside it.h"
import <std_connector.camkes>;
component Init0 { VM_INIT_DEF() }
assembly {
    composition { VM_COMPOSITION_DEF() VM_PER_VM_COMP_DEF(0) component Extra x; EVERYTHING_ELSE }
    configuration {
        VM_CONFIGURATION_DEF()
        VM_PER_VM_CONFIG_DEF(0);
        vm0.heap_size = 0x10000;
        vm0.kernel_cmdline = VM_GUEST_CMDLINE;
        vm0.init_cons = [ {"init":"own", "badge":BADGE | 2}, HANDLER(0, topology_def), PAIR(0,1)
                          {"init":"x"} ];
        VM_CONNECTION_CONFIG(init.init, topology_def)
        vm0.tree = dtb({"path": SOC});
    }
}
"""
    with pytest.raises(UsageError, match=r"app\.camkes:1:10: the included file configurations/vm\.h"):
        application(text)
    found = application(text, allow_missing=True)
    assert found.missing_includes == ("configurations/vm.h", "../beside it.h", "std_connector.camkes")
    assert [Path(file).name for file in found.files] == ["app.camkes"]
    assert [instance.name for instance in found.instances] == ["x"]
    assert found.value("vm0", "heap_size") == 0x10000
    assert found.value("vm0", "kernel_cmdline") == Unevaluated("macro", "VM_GUEST_CMDLINE")
    assert found.value("vm0", "init_cons") == (
        {"init": "own", "badge": Unevaluated("macro", "BADGE | 2")},
        Unevaluated("macro", "HANDLER(0, topology_def)"),
        Unevaluated("macro", "PAIR(0,1)"),
        {"init": "x"},
    )
    assert found.get("vm0", "heap_size").place.line == 10  # type: ignore[union-attr]  # it is there


def test_leftover_macros_are_refused_where_nothing_is_missing(application) -> None:
    with pytest.raises(UsageError, match="NOT_DEFINED has no value here"):
        application(in_assembly("vm0.a = NOT_DEFINED;"), allow_missing=True)


def test_a_missing_file_by_absolute_name_is_not_made_up(application, tmp_path: Path) -> None:
    away = tmp_path / "nowhere" / "x.h"
    with pytest.raises(UsageError, match="does not exist"):
        application(f'#include "{away}"\n', allow_missing=True)
    assert not away.parent.exists()


def test_missing_names_cannot_leave_the_folder_of_stand_ins(application, tmp_path: Path) -> None:
    before = sorted(tmp_path.parent.iterdir())
    with pytest.raises(UsageError, match="does not exist"):
        application(f'#include "{"../" * 40}made-up.h"\n', allow_missing=True)
    assert sorted(tmp_path.parent.iterdir()) == before


def test_a_macro_may_stand_wherever_the_grammar_has_a_value(application) -> None:
    text = """
#include <no-such.h>
schedule two { 1, 2; part { a } }
component A { control; dataport Buf(SIZE * 2) d; maybe dataport Buf(4096) e; }
connector X { from Procedure with N threads; to Dataport template "a" with 3 threads; }
assembly {
    composition {
        component A vm0;
        component KIND(1) NAME(1);
        connection X CAT(a, _b)(from vm0.d, to vm0.e);
        connection X c(to init.init, topology(ENDS));
        connection X d(topology(ENDS) to init.init);
        connection X e(from END(1), to vm0.e);
    }
    configuration { vm0.x = FOO vm0.y = 3; vm0.z = [1, 2]; }
}
"""
    found = application(text, allow_missing=True)
    assert {s.attribute: s.value for s in found.settings} == {
        "x": Unevaluated("macro", "FOO"),
        "y": 3,
        "z": (1, 2),
    }
    assert found.connections == ("CAT(a, _b)", "c", "d", "e")
    with pytest.raises(UsageError, match=r"no-such\.h> is not found|no-such\.h is not found"):
        application(text)


@pytest.mark.parametrize("value", ["1024", '"text"', "[1, 2]", '[{"a": 1}]', "(1 + 2)", "true"])
@pytest.mark.parametrize("before", ["", "#include <no-such.h>\n"])
def test_a_missing_semicolon_is_told_at_its_line(application, value: str, before: str) -> None:
    text = before + in_assembly(f"vm0.a = {value}\nvm0.b = NAME;")
    with pytest.raises(UsageError, match=f"app.camkes:{2 + bool(before)}:.*a ; is missing behind"):
        application(text, allow_missing=True)


def test_no_semicolon_is_missed_within_a_value(application) -> None:
    with pytest.raises(UsageError) as raised:
        application(in_assembly('vm0.a = [{"a": 1 b: 2}];'))
    assert "; is missing" not in str(raised.value)


def test_a_number_that_begins_with_zero_is_octal_and_told(application) -> None:
    found = application(in_assembly("vm0.a = [06, 00, 010, 0x08];"))
    assert found.settings[0].value == (6, 0, 8, 8)
    assert [(text, place.line) for text, place in found.octal] == [("06", 2), ("010", 2)]
    with pytest.raises(UsageError, match="08 is neither octal nor decimal"):
        application(in_assembly("vm0.a = 08;"))


@pytest.mark.parametrize("text", ["password hunter2;\n", "#error hunter2\n", "#hunter2\n", "x = 'hunter2"])
def test_what_a_file_elsewhere_holds_is_not_shown(application, tmp_path: Path, text: str) -> None:
    elsewhere = tmp_path.parent.parent / f"{tmp_path.parent.name}-{tmp_path.name}-private"
    elsewhere.write_text(text)
    with pytest.raises(UsageError, match="outside of the application's folders") as raised:
        application(f'#include "{elsewhere}"\n')
    assert "hunter2" not in f"{raised.value} {raised.value.hint}"
    (tmp_path / "own.h").write_text(text)
    with pytest.raises(UsageError) as raised:
        application('#include "own.h"\n')
    assert "hunter2" in str(raised.value)


FOREIGN_TEXTS = [
    "password hunter2\n",
    "configuration { vm0.hunter2 = 1; }\n",
    '#define NAME "hunter2"\n',
    "#define NAME hunter1 hunter2\n#if NAME\n#endif\n",
    "component hunter2 { control; }\n",
]


@pytest.mark.parametrize("text", FOREIGN_TEXTS)
@pytest.mark.parametrize("kind", ["include", "import"])
def test_a_file_beside_the_applications_folder_is_not_read(tmp_path: Path, text: str, kind: str) -> None:
    """Whatever it holds: a value, a name or a macro of it would be quoted somewhere."""
    folder = tmp_path / "app"
    folder.mkdir()
    (tmp_path / "beside.camkes").write_text(text)
    line = '#include "../beside.camkes"\n' if kind == "include" else 'import "../beside.camkes";\n'
    root = folder / "app.camkes"
    root.write_text(line + in_assembly("vm0.a = NAME;" if kind == "include" else "vm0.a = 1;"))
    with pytest.raises(UsageError, match=r"beside\.camkes is outside of the application's folders") as raised:
        load_application(root)
    told = f"{raised.value} {raised.value.hint}"
    assert "hunter" not in told and "-I " in told


def test_of_a_generated_file_the_application_beside_its_folder_is_read(tmp_path: Path) -> None:
    """And nothing else that lies elsewhere: anybody can write the mark."""
    folder = tmp_path / "e300"
    (tmp_path / "secret").mkdir()
    folder.mkdir()
    (tmp_path / "app.camkes").write_text(in_assembly("vm0.a = 1;"))
    (tmp_path / "secret" / "app.camkes").write_text(in_assembly("vm0.a = 2;"))
    root = folder / "passthrough.camkes"
    root.write_text('// bringup: made from nothing\n#include "../app.camkes"\n')
    assert load_application(root).value("vm0", "a") == 1
    root.write_text('// bringup: made from nothing\n#include "../secret/app.camkes"\n')
    with pytest.raises(UsageError, match="outside of the application's folders"):
        load_application(root)


@pytest.mark.parametrize("more", ["", "#include <no-such.h>\n"])
def test_macros_of_a_file_elsewhere_are_not_quoted_by_the_preprocessor(tmp_path: Path, more: str) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    (tmp_path / "beside.h").write_text("#define NAME hunter1 hunter2\n")
    root = folder / "app.camkes"
    root.write_text(more + '#include "../beside.h"\n#if NAME\n#endif\n' + in_assembly(""))
    with pytest.raises(UsageError, match="outside of the application's folders") as raised:
        load_application(root, allow_missing=True)
    assert "hunter" not in str(raised.value)


@pytest.mark.parametrize("how", ["-I", "cmake", "projects", "link"])
def test_the_projects_own_files_are_read(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "projects" / "apps" / "app" if how == "projects" else tmp_path / "apps" / "app"
    folder.mkdir(parents=True)
    if how == "cmake":
        (folder.parent / "CMakeLists.txt").touch()
    (folder.parent / "common.h").write_text("#define NAME 3\n")
    name = "common.h" if how == "link" else "../common.h"
    if how == "link":
        (folder / "common.h").symlink_to("../common.h")
    root = folder / "app.camkes"
    root.write_text(f'#include "{name}"\n' + in_assembly("vm0.a = NAME;"))
    if how == "link":
        with pytest.raises(UsageError, match="outside of the application's folders"):
            load_application(root)
    include = [folder.parent] if how in ("-I", "link") else []
    assert load_application(root, include=include).value("vm0", "a") == 3


def test_headers_of_the_system_are_read_and_what_a_name_of_theirs_leads_to_is_not(tmp_path: Path) -> None:
    (tmp_path / "beside.h").write_text("#define LIMIT 1\n")
    folder = tmp_path / "app"
    folder.mkdir()
    root = folder / "app.camkes"
    root.write_text("#include <limits.h>\n" + in_assembly("vm0.a = 1;"))
    load_application(root)
    root.write_text(f"#include </../..{tmp_path}/beside.h>\n" + in_assembly("vm0.a = LIMIT;"))
    with pytest.raises(UsageError, match="outside of the application's folders"):
        load_application(root)


def test_the_users_includes_and_macros_count(application, tmp_path: Path) -> None:
    folder = tmp_path / "headers with space"
    folder.mkdir()
    (folder / "x.h").write_text("#define SIZE (F(2))\n")
    text = "#include <x.h>\n" + in_assembly("vm0.a = SIZE;\nvm0.b = NAME;")
    found = application(text, include=[folder], define=["F(x)=x*3", 'NAME="q q"'])
    assert (found.value("vm0", "a"), found.value("vm0", "b")) == (6, "q q")
    with pytest.raises(UsageError, match="is no macro definition"):
        application(text, define=["-fplugin=/x"])


def test_the_environment_does_not_reach_cpp(application, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "secret.h").write_text("#define SIZE 1\n")
    monkeypatch.setenv("CPATH", str(tmp_path / "hidden"))
    with pytest.raises(UsageError, match=r"secret\.h is not found"):
        application("#include <secret.h>\n" + in_assembly("vm0.a = SIZE;"))


def test_without_cpp_the_package_is_named(application, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgramError) as caught:
        application("#define A 1\n" + in_assembly("vm0.a = A;"))
    assert caught.value.hint == "apt install cpp"
    assert application(in_assembly("vm0.a = 1;")).value("vm0", "a") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "".join(f"#define A{i + 1} {f'A{i} ' * 10}\n" for i in range(12)) + "#define A0 x\nA12\n",
            "too large",
        ),
        ('#include "app.camkes"\n', r"app\.camkes:1:\d+: #include nested depth"),
        ('#include "/dev/zero"\n', "could not be preprocessed|too large|is not"),
        ("#if 1 /\n#endif\n", r"app\.camkes:1:"),
    ],
)
def test_cpp_is_bounded(application, text: str, message: str) -> None:
    start = time.monotonic()
    with pytest.raises(UsageError, match=message):
        application(text)
    assert time.monotonic() - start < 60


def test_no_process_and_no_file_stays_behind(application, tmp_path: Path, monkeypatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    application("#include <no.h>\n" + in_assembly("vm0.a = 1;"), allow_missing=True)
    with pytest.raises(UsageError):
        application("#error x\n")
    assert list(scratch.iterdir()) == []
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize("name", ["absent.camkes", ".", "fifo"])
def test_what_is_no_file_is_said_so(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UsageError, match=r"cannot be read: No such file|is not a file"):
        load_application(tmp_path / name)


def test_a_broken_import_is_told_in_the_imported_file(tmp_path: Path) -> None:
    (tmp_path / "part.camkes").write_text("component X {\n    attribute int;\n}\n")
    (tmp_path / "app.camkes").write_text('import "part.camkes";\n')
    with pytest.raises(UsageError, match=r"part\.camkes:2:18: ';' cannot stand here"):
        load_application(tmp_path / "app.camkes")


def test_text_that_conditions_disable_may_be_prose(application) -> None:
    text = "#if 0\nan \"odd quote, and don't\n#endif\n" + in_assembly("vm0.a = 1;")
    assert application(text).value("vm0", "a") == 1


def test_an_error_behind_macros_is_told_where_they_are_used(application) -> None:
    text = "#define BROKEN 1 +\n\n" + in_assembly("vm0.a = BROKEN;")
    with pytest.raises(
        UsageError, match=r"app\.camkes:4:\d+: a number is missing at the end\n    vm0\.a = BROKEN;"
    ):
        application(text)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("-2 ** 2", 4),
        ("2 - 3 - 4", -5),
        ("- - 3", 3),
        ("!!5", 1),
        ("1 + 2 << 3", 24),
        ("1 | 2 & 3 ^ 1", 3),
        ("4 && 0 || 7", 7),
        ("1.5 * 2", 3.0),
        ("0x10 % 7", 2),
        ("~0x0f & 0xff", 0xF0),
    ],
)
def test_arithmetic(application, expression: str, value: float) -> None:
    assert application(in_assembly(f"vm0.a = {expression};")).value("vm0", "a") == value


NO_VALUE = (
    "1 << -1;1 << 99999999999;2 ** 4097;(-8) ** 0.5;1.5 << 1;1 / 0;1 % 0;0 ** -1;(1;1 +;* 2;1 2;~1.5 | 1"
    ";9.9 ** 999.9;+;0x;1.;.5;0b1;1e3;09"
)


@pytest.mark.parametrize("expression", [*NO_VALUE.split(";"), "9" * 5000, "0x" + "f" * 5000])
def test_arithmetic_without_a_value(application, expression: str) -> None:
    with pytest.raises(UsageError, match=r"app\.camkes:\d+:\d+: "):
        application(in_assembly(f"vm0.a = {expression};"))


@given(st.lists(st.one_of(st.integers(-(2**40), 2**40), SIGNS)))
def test_any_row_of_signs_has_a_value_or_says_why(parts: list[int | str]) -> None:
    try:
        assert isinstance(evaluate(parts), (int, float))
    except ExpressionError as error:
        assert str(error)


def test_brackets_without_end_are_refused_without_recursion(application) -> None:
    assert application(in_assembly(f"vm0.a = {'[' * 190}{']' * 190};")).value("vm0", "a") is not None
    for opener, closer in ("[]", "()", "{}"):
        with pytest.raises(BringupError):
            application(in_assembly(f"vm0.a = {opener * 100_000}1{closer * 100_000};"))


@given(data=st.binary(max_size=300))
def test_no_bytes_make_it_fail_in_another_way(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    # A directive would start cpp for each example.
    root = tmp_path_factory.getbasetemp() / "bytes.camkes"
    root.write_bytes(data.replace(b"#", b" "))
    try:
        load_application(root)
    except UsageError as error:
        assert error.message


ROW = [
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ";",
    ",",
    ".",
    "=",
    ":",
    "?",
    "<-",
    "->",
    "+",
    "1",
    '"s"',
    "vm0.a = ",
    "M(1)",
]
ROW += [
    "WORD",
    "true",
    "assembly",
    "component",
    "composition",
    "configuration",
    "connection",
    "group",
    "struct",
]
ROW += ["procedure", "connector", "from", "to", "attribute", "int", "import", "Buf", "dtb({", "dataport"]


@given(row=st.lists(st.sampled_from(ROW), max_size=40), macros=st.booleans())
def test_any_row_of_words_is_parsed_or_refused(row: list[str], macros: bool) -> None:
    try:
        parse(tokenize(" ".join(row), preprocessed=True), macros=macros)
    except TextError as error:
        assert str(error)


@given(inner=st.lists(st.sampled_from(ROW), max_size=12))
def test_words_inside_a_configuration_are_parsed_or_refused(inner: list[str]) -> None:
    try:
        parse(tokenize(in_assembly(" ".join(["vm0.x =", *inner, ";"])), preprocessed=True), macros=True)
    except TextError as error:
        assert str(error)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_mutated_files_load_or_are_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.getbasetemp() / "mutated.camkes"
    root.write_bytes(mutated(data, [*ROW, "#", "\n#if", "/*", "'"])[1])
    try:
        load_application(root, include=[CORPUS / "include", CORPUS], allow_missing=True)
    except UsageError as error:
        assert error.message


def test_too_many_words_are_refused_soon(application) -> None:
    with pytest.raises(UsageError, match="are no CAmkES application"):
        application(in_assembly("vm0.a=1;" * 200_000))


def test_what_is_imported_needs_no_cpp_of_its_own(tmp_path: Path, monkeypatch) -> None:
    for number in range(20):
        (tmp_path / f"c{number}.camkes").write_text(f"component C{number} {{ control; }} // a component\n")
    root = tmp_path / "app.camkes"
    root.write_text(
        "#define A 1\n" + "".join(f'import "c{n}.camkes";\n' for n in range(20)) + in_assembly("vm0.a = A;")
    )
    runs = []
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: runs.append(a) or real(*a, **k))
    assert load_application(root).value("vm0", "a") == 1
    assert len(runs) == 1


def test_the_error_has_its_offset() -> None:
    assert TextError("x", 5).offset == 5


@pytest.mark.parametrize("text", ["secret", '#error "secret"', '#include "nothing-secret.h"'])
def test_an_error_shows_nothing_of_an_imported_file_that_is_elsewhere(tmp_path: Path, text: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "other.camkes"
    other.write_text(text + "\n")
    folder = tmp_path / "around" / "app"
    folder.mkdir(parents=True)
    (folder / "app.camkes").write_text(f'import "{other}";\n')
    with pytest.raises(UsageError, match="outside of the application's folders") as raised:
        load_application(folder / "app.camkes")
    assert "secret" not in str(raised.value)


def test_a_file_that_a_person_names_is_shown_wherever_its_link_leads(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "real.camkes").write_text("assembly { told }\n")
    folder = tmp_path / "around" / "app"
    folder.mkdir(parents=True)
    (folder / "app.camkes").symlink_to(tmp_path / "elsewhere" / "real.camkes")
    with pytest.raises(UsageError, match="told"):
        load_application(folder / "app.camkes")
