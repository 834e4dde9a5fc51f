"""The first thing a reader sees is true: what broke, whose fault it is, what to do."""

from dataclasses import replace

import pytest
import samples

from kvm_action.errors import FailureClass
from kvm_action.report.facts import command
from kvm_action.report.timeline import ticks, timeline
from kvm_action.report.verdict import verdict
from kvm_action.results import Outcome


def test_a_failed_script_is_named_as_the_place() -> None:
    told = verdict(samples.failed_provision_run())
    assert (told.word, told.step, told.place) == ("Failed", "provision", "Your script")
    assert told.evidence[-1].endswith("giving up")


def test_a_boot_that_sticks_says_its_stage_and_clears_the_script() -> None:
    told = verdict(samples.stuck_boot_run())
    assert told.place == "The machine"
    assert told.place_note == "Its boot got as far as: kernel. Your script had not started, so it is not to blame."


def test_an_interruption_says_that_the_script_was_running() -> None:
    assert "was running" in verdict(samples.interrupted_run()).place_note


def test_infrastructure_that_breaks_after_the_script_says_that_it_had_ended() -> None:
    run = samples.failed_check_run()
    assert run.failure
    broken = replace(run, failure=replace(run.failure, failure_class=FailureClass.CONNECTION))
    assert "already run to its end" in verdict(broken).place_note


@pytest.mark.parametrize("kind", FailureClass)
def test_every_kind_of_failure_has_a_place(kind: FailureClass) -> None:
    run = samples.failed_check_run()
    assert run.failure
    assert verdict(replace(run, failure=replace(run.failure, failure_class=kind))).place


def test_a_pass_says_what_was_proved() -> None:
    run = samples.passed_run()
    assert verdict(run).headline == "The script ran to its end and all 9 checks hold"
    assert verdict(replace(run, checks=run.checks[:1])).headline.endswith("and the check holds")
    assert "no checks" in verdict(replace(run, checks=())).headline


def test_a_run_without_a_recorded_reason_still_says_that_it_did_not_pass() -> None:
    assert "not pass" in verdict(replace(samples.passed_run(), outcome=Outcome.ERROR)).headline


def test_the_command_to_try_at_home_is_quoted_for_the_shell() -> None:
    run = samples.failed_provision_run()
    told = command(replace(run, plan=replace(run.plan, path="my plans/$(id).yml")))
    assert told == (
        "kvm-e2e run 'my plans/$(id).yml' --backend kvm --image debian-13"
        " --accel kvm --start boot --keep on-failure"
    )


@pytest.mark.parametrize("length", [0.02, 0.4, 9, 59, 61, 239, 3599, 7300, 90_000, 1_000_000])
def test_the_axis_has_a_readable_number_of_ticks_within_it(length: float) -> None:
    marks = ticks(length)
    assert 1 <= len(marks) <= 7
    assert marks[-1].at <= 100
    assert len({mark.label for mark in marks}) == len(marks)


def test_steps_lie_on_the_axis_one_after_the_other() -> None:
    rows = [row for row in timeline(samples.passed_run()).rows if row.seconds != "skipped"]
    assert all(row.span.left + row.span.width <= 100.001 for row in rows)
    assert [row.span.left for row in rows] == sorted(row.span.left for row in rows)


def test_a_boot_that_sticks_names_the_milestone_that_never_came() -> None:
    assert timeline(samples.stuck_boot_run()).missing == "userspace"
    assert timeline(samples.passed_run()).missing == ""
    assert timeline(samples.plan_error_run()).missing == ""


def test_a_sentence_begins_with_a_capital_and_a_program_keeps_its_name() -> None:
    assert verdict(samples.stuck_boot_run()).headline.startswith("The machine stopped")
    assert verdict(samples.plan_error_run()).headline.startswith("libvirt does not answer")
