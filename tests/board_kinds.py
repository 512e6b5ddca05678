"""The kinds of trouble that boards, BMCs and networks were reported with, and our own variants of each.

Every case of shared/cases/board stands for a kind. A row: the cases, as their names begin, and the tests here
that try others of the kind: `ROOM/test_FILE::test_NAME`, all its parameters counting, or with `[WORD]` those
whose id or values have that word. `tests/unit/boot/test_board_kinds.py` counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """`cases` are how the names of those that were reported begin, `ours` the tests with our variants."""

    cases: tuple[str, ...]
    ours: tuple[str, ...]


_IPMI = "unit/power/drivers/test_ipmi"
_CLIENT = "twin/test_ipmi_client"
_VERDICT = "unit/boot/test_verdict"
_FACTS = "unit/boot/test_facts"
_LINES = "unit/transcript/test_boot_texts::test_line_is_told_as_what_it_is"

KINDS: Mapping[str, Kind] = {
    "a status that tells nothing": Kind(
        ("b01", "b24", "p_d3_status", "p_ff_once_mid"),
        (
            f"{_IPMI}::test_a_bmc_that_cannot_tell_for_12_s_is_asked_on",
            f"{_IPMI}::test_unclear_reads_in_the_middle_of_a_cycle_are_passed_over",
            "unit/power/test_watch::test_an_answer_that_tells_nothing_ends_no_boot",
        ),
    ),
    "a power command that is not taken": Kind(
        ("b02",),
        (
            f"{_IPMI}::test_a_power_on_that_was_not_taken_is_sent_again",
            f"{_IPMI}::test_what_would_be_done_twice_is_not_repeated",
        ),
    ),
    "a switch that is slow or ignored": Kind(
        ("b03", "b04"),
        (
            f"{_IPMI}::test_an_ignored_power_on_is_asked_again_and_told",
            f"{_IPMI}::test_the_power_on_of_a_cycle_that_is_ignored_is_asked_again",
            f"{_IPMI}::test_a_board_that_takes_15_s_to_come_up_is_not_asked_twice",
            "unit/power/test_actions::test_a_slow_board_is_waited_for",
        ),
    ),
    "an override that is not told": Kind(
        ("b05",),
        (
            f"{_IPMI}::test_a_bmc_that_does_not_tell_what_it_holds_is_named",
            f"{_IPMI}::test_a_bmc_that_does_not_mark_its_flags_valid_leaves_it_uncertain_and_goes_on",
            "unit/boot/test_engine::test_none_sets_none_and_leaves_the_order_to_the_board",
        ),
    ),
    "bits of the override that are the BMC's own": Kind(
        ("b06",), (f"{_IPMI}::test_bits_that_are_the_bmc_s_own_do_not_count",)
    ),
    "a timer of the override that cannot be stopped": Kind(
        ("b07",), (f"{_IPMI}::test_a_timer_that_cannot_be_stopped_is_told_and_no_end",)
    ),
    "a user with few rights": Kind(
        ("b13",),
        (
            f"{_CLIENT}::test_a_lesser_user_gets_what_it_may_do",
            f"{_CLIENT}::test_a_privilege_that_is_never_granted_is_no_matter_of_the_password",
            f"{_IPMI}::test_a_user_who_may_not_ask_is_told_at_once",
            "unit/ipmi/test_errors::test_too_little_privilege_is_a_matter_of_credentials",
        ),
    ),
    "a console that is refused just now, or whose owner is not told": Kind(
        ("b14_", "b14b", "b14c", "b14e"),
        (f"{_CLIENT}::test_a_console_that_a_bmc_cannot_give_just_now_is_asked_for_again",),
    ),
    "a console that stays active": Kind(
        ("b14d",),
        (
            f"{_CLIENT}::test_a_console_that_is_active_and_nobodys_is_freed_or_named",
            f"{_CLIENT}::test_its_own_stale_session_is_retaken_and_nobody_elses",
            f"{_CLIENT}::test_a_session_that_a_killed_process_left_is_told_and_taken_back",
            f"{_CLIENT}::test_a_console_in_use_is_refused_and_can_be_stolen",
        ),
    ),
    "a BMC without a free session": Kind(
        ("b15",),
        (
            "unit/ipmi/test_errors::test_login_messages[session]",
            "unit/ipmi/test_errors::test_login_messages[resources]",
            "unit/twin/test_bmc_lan::test_sessions_are_limited",
        ),
    ),
    "a login that is refused just now": Kind(
        ("b16",),
        (
            f"{_CLIENT}::test_a_privilege_that_a_bmc_cannot_grant_just_now_is_asked_for_again",
            f"{_CLIENT}::test_a_bmc_that_is_busy_before_the_login_is_asked_again",
        ),
    ),
    "a BMC that is silent to a cipher suite": Kind(
        ("b17",),
        (
            f"{_CLIENT}::test_a_bmc_that_is_silent_to_a_suite_is_asked_by_the_next_and_later_logins_do_not_wait",
            f"{_CLIENT}::test_suites_are_tried_in_the_boards_order",
        ),
    ),
    "packets of the console that are lost": Kind(
        ("b20",),
        (
            "unit/console/test_sol_vigil::test_a_console_nobody_vouches_for_is_told_within_ten_seconds",
            "unit/console/test_sol_vigil::test_a_late_answer_leaves_a_doubt_as_long_as_the_silence",
            "unit/console/test_sol_protocol::test_a_number_that_was_left_out_is_a_hole_before_the_packet",
            "unit/console/test_sol_protocol::test_both_ways_are_exact_over_a_network_that_loses_and_repeats",
        ),
    ),
    "a process of ours that stood still": Kind(
        ("b25",),
        (
            "unit/console/test_sol_vigil::test_a_stall_of_this_process_is_a_doubt_and_no_silence_of_the_bmc",
            "unit/console/test_sol_vigil::test_a_session_that_slept_longer_than_it_lives_is_given_up",
            "unit/console/test_sol_vigil::test_every_stall_and_every_unanswered_question_is_covered",
        ),
    ),
    "a console that the BMC ends": Kind(
        ("c15",),
        (
            "unit/console/test_reconnect::test_a_gap_is_told_between_what_came_before_and_after",
            "unit/console/test_reconnect::test_a_bmc_that_is_silent_or_busy_is_tried_again",
            f"{_CLIENT}::test_it_is_back_once_a_bmc_that_restarted_answers",
            f"{_VERDICT}::test_what_may_have_come_in_a_gap_is_undecided",
        ),
    ),
    "a BMC that restarts while the board boots": Kind(
        ("c14",),
        (
            "unit/boot/test_bmc_restart::test_what_comes_after_it_is_back_counts",
            "unit/boot/test_bmc_restart::test_what_does_not_come_then_may_have_come_in_the_gap",
            "unit/power/test_watch::test_a_bmc_that_restarts_is_waited_for_told_and_what_it_kept_is_looked_at",
            f"{_IPMI}::test_a_bmc_that_restarts_in_the_middle_is_waited_for_and_told",
        ),
    ),
    "a firmware that waits for a key": Kind(("c01", "c03"), (f"{_LINES}[waits-for-key]",)),
    "Secure Boot": Kind(("c04",), (f"{_LINES}[secure-boot]",)),
    "the disk that booted instead": Kind(
        ("c05", "c06"),
        (f"{_FACTS}::test_disk_that_booted_is_no_loader_and_says_whether_the_override_was_read",),
    ),
    "a loader without a network": Kind(("c07",), (f"{_LINES}[loader-network]",)),
    "a loader without memory": Kind(("c08",), (f"{_LINES}[loader-memory]",)),
    "another port of the board that asks": Kind(
        ("c09", "c21", "n02"), (f"{_FACTS}::test_stranger_that_is_another_board_of_the_lab_is_named",)
    ),
    "a board of the other firmware": Kind(
        ("c10", "n07"),
        (
            f"{_FACTS}::test_an_address_without_a_file_says_who_asked",
            f"{_VERDICT}::test_silence[dhcp-ignored]",
        ),
    ),
    "a board that does not say what it is": Kind(
        ("n08",), (f"{_FACTS}::test_a_board_that_does_not_say_what_it_is_is_told_of_option_93",)
    ),
    "a root task that the kernel does not take": Kind(
        ("c17",),
        (
            "unit/image/test_check::test_sel4_needs_a_root_task",
            "unit/image/test_check::test_the_root_task_has_to_be_elf_of_the_kernels_kind",
            "unit/image/test_check::test_swapped_files_are_one_refusal",
        ),
    ),
    "characters of another speed": Kind(
        ("c18",),
        (
            "unit/transcript/test_stages::test_wrong_line_speed_is_garbage",
            "unit/transcript/test_stages::test_garbage_is_told_once_and_frames_and_nuls_are_none",
            f"{_VERDICT}::test_garbage_is_no_matter_until_the_kernel_should_speak",
        ),
    ),
    "a kernel that says nothing": Kind(
        ("c19",),
        (
            f"{_VERDICT}::test_silence[kernel-silent]",
            f"{_VERDICT}::test_silence[console silent]",
            f"{_VERDICT}::test_silence[other port]",
            f"{_VERDICT}::test_silence[unknown text]",
        ),
    ),
    "a screen that is drawn anew": Kind(
        ("c20",), ("unit/transcript/test_redrawn::test_characters_sent_twice_hide_no_text",)
    ),
    "a link that is down": Kind(
        ("c23",), (f"{_FACTS}::test_the_link_of_this_host_counts_as_it_is_last", f"{_LINES}[pxe-no-link]")
    ),
    "a board that is slow": Kind(
        ("c25",),
        (
            f"{_VERDICT}::test_limits_wait_while_text_comes_but_not_for_ever",
            f"{_VERDICT}::test_silence[no-sign-of-life]",
            f"{_VERDICT}::test_silence[no-dhcp]",
        ),
    ),
    "a root task that gives up": Kind(("c26",), (f"{_VERDICT}::test_failure_on_the_console",)),
    "a guest that dies without a word": Kind(
        ("c28",),
        (
            f"{_VERDICT}::test_silence[no-guest]",
            f"{_VERDICT}::test_silence[no-login]",
            f"{_VERDICT}::test_every_vm_that_shows_itself_must_log_in",
            f"{_VERDICT}::test_vms_are_awaited_one_by_one",
        ),
    ),
    "a file that nobody here told of": Kind(
        ("n04",), (f"{_FACTS}::test_names_of_another_server_are_told_whatever_they_are",)
    ),
    "another DHCP server": Kind(
        ("n05",),
        (
            f"{_FACTS}::test_a_rival_is_named_once_and_first",
            "unit/netboot/test_dhcp_packet::test_what_stands_in_the_way",
        ),
    ),
    "a firmware that ignores proxyDHCP": Kind(
        ("n06",), (f"{_FACTS}::test_what_only_a_shared_segment_has_is_told_only_there",)
    ),
    "requests that no TFTP server expects": Kind(
        ("n_tftp",), ("unit/netboot/test_tftp::test_answer", "unit/netboot/test_tftp::test_silence_and_life")
    ),
    "a board that is switched by itself": Kind(
        ("p_off", "p_soft"), ("unit/power/test_actions::test_each_action_from_each_state",)
    ),
    "a boot that goes well": Kind(
        ("s_",),
        (
            f"{_VERDICT}::test_good_boot",
            f"{_VERDICT}::test_bare_linux_has_no_vms",
            f"{_VERDICT}::test_a_boot_image_is_loader_kernel_and_modules",
            f"{_VERDICT}::test_release_image_prints_no_kernel_lines",
        ),
    ),
}
