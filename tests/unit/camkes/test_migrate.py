"""Old spellings made today's: only names change, interrupts get an IOAPIC, and twice is as once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import ProfileError
from bringup.camkes.app.load import load_application
from bringup.camkes.text.syntax import read_text, replace
from bringup.camkes.vms.attributes import OLD_ATTRIBUTES
from bringup.camkes.write.migrate import migration, new_key, prove_migration
from bringup.jobs.configure.migrate import plan_migration
from tests import places

GOLDEN = places.GOLDEN / "camkes"
OLD = (GOLDEN / "old.camkes").read_text()


def migrated(text: str, ioapic: int = 0) -> str:
    document = read_text(text, "old.camkes")
    return replace(document, migration(document, ioapic).changes)


def test_an_application_of_2018_becomes_one_of_today() -> None:
    new = migrated(OLD)
    assert new == (GOLDEN / "old-migrated.camkes").read_text()
    assert migrated(new) == new
    assert "vm0_config." not in new and "vm0_config ." not in new
    assert new.count('"ioapic":0') == 3 and new.count('"ioapic":1') == 1
    for kept in ("/* BARs */", "// the flag", "#ifdef USB", "component Cfg vm0_config"):
        assert kept in new


def test_cpp_reads_the_same_values_under_todays_names(tmp_path: Path) -> None:
    old, new = tmp_path / "old.camkes", tmp_path / "new.camkes"
    old.write_text(OLD)
    new.write_text(migrated(OLD, 2))
    for define in ((), ("USB",), ("TWO",), ("USB", "TWO")):
        before, after = (load_application(path, define=define) for path in (old, new))
        prove_migration(before, after, 2)
        irqs = after.value("vm0", "vm_irqs")
        assert isinstance(irqs, tuple)
        assert [irq["ioapic"] for irq in irqs] == ([2, 2, 1] if "USB" in define else [2, 1])  # type: ignore[index,call-overload]
        with pytest.raises(ProfileError):
            prove_migration(before, after, 3)


def test_another_ioapic_is_taken_where_it_is_asked_for() -> None:
    assert migrated(OLD, 2).count('"ioapic":2, "source"') == 3


@pytest.mark.parametrize("attribute", [*OLD_ATTRIBUTES, "exclude_paddr", "ram"])
def test_every_old_name_has_todays(attribute: str) -> None:
    text = f"configuration {{ vm3_config.{attribute} = []; }}"
    assert migrated(text) == f"configuration {{ vm3.{OLD_ATTRIBUTES.get(attribute, attribute)} = []; }}"


def test_what_nobody_knows_is_left_alone_and_told() -> None:
    document = read_text("configuration { vm0_config.foo = 1; cfg.irqs = []; }", "old.camkes")
    found = migration(document)
    assert not found.changes
    assert found.notes == (
        "old.camkes:1:17: vm0_config.foo is nothing that a VM reads today; it was left alone",
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "configuration {\nvm0_config.irqs = [];\nvm0.vm_irqs = [];\n}",
            r"old\.camkes:2:1 sets vm0_config\.irqs and line 3 vm0\.vm_irqs.*C43",
        ),
        ("configuration { vm0_config.irqs = IRQS; }", "interrupts are made by 'IRQS'"),
        ("configuration { vm0.vm_irqs = [ IRQ(1), ]; }", r"interrupts are made by 'IRQ\(1\)'"),
    ],
)
def test_what_cannot_be_migrated_is_refused(text: str, says: str) -> None:
    with pytest.raises(ProfileError, match=says):
        migrated(text)


def test_old_and_new_names_in_one_build_are_refused(tmp_path: Path) -> None:
    text = (
        "assembly { composition { component Init0 vm0; } configuration {\n"
        "#if 1\nvm0_config.ioports = [];\n#endif\n#if 1\nvm0.vm_ioports = [];\n#endif\n} }\n"
    )
    (tmp_path / "old.camkes").write_text(text)
    (tmp_path / "new.camkes").write_text(migrated(text))
    before = load_application(tmp_path / "old.camkes")
    with pytest.raises(ProfileError, match="under its old name and under today's"):
        prove_migration(before, before, 0)


@given(st.text(alphabet='vm01_config. =[]{}irqs;\n"#', max_size=80))
def test_any_text_that_can_be_read_is_migrated_once(noise: str) -> None:
    try:
        document = read_text(f"{noise}\nconfiguration {{ vm0_config.ioports = []; }}", "x")
        new = replace(document, migration(document).changes)
    except Exception as error:  # noqa: BLE001
        assert type(error).__name__ in ("UsageError", "ProfileError"), error
        return
    assert migrated(new) == new


def test_new_key_is_none_for_todays_names() -> None:
    assert new_key("vm0", "vm_irqs") is None
    assert new_key("vm12_config", "irqs") == ("vm12", "vm_irqs")
    assert new_key("guest_config", "ioports") == ("guest", "vm_ioports")
    assert new_key("guest_config", "heap_size") is None


def test_what_a_macro_brings_is_told_where_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "conf.h").write_text("#define CONF() vm0_config.irqs = [];\n")
    path = tmp_path / "app.camkes"
    path.write_text(
        '#include "conf.h"\ncomponent I { control; }\n'
        "assembly { composition { component I vm0; } configuration {\nCONF()\n} }\n"
    )
    planned = plan_migration(path)
    assert not planned.stale and not planned.done
    (told,) = planned.left
    assert "app.camkes:4:1: vm0_config.irqs comes out of a macro" in told and "vm0.vm_irqs" in told
    path.write_text(path.read_text().replace("CONF()", "vm0_config.irqs = [];"))
    assert plan_migration(path).stale and not plan_migration(path).left
