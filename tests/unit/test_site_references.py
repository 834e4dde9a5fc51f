"""The guide's references say what the code says: every key, every option, every input."""

from pathlib import Path

import click

from kvm_action.cli import COMMANDS, root
from kvm_action.cli.reference import commands_of
from kvm_action.pages.action_reference import action_reference
from kvm_action.pages.assets import CHART, script
from kvm_action.pages.command_reference import command_reference
from kvm_action.pages.links import slug, web_address
from kvm_action.pages.rendering import script_json
from kvm_action.pages.schema_reference import plan_reference
from kvm_action.pages.style import style_sheet
from kvm_action.plan.schema import plan_schema


def test_every_key_of_a_plan_has_its_type_default_and_meaning() -> None:
    text = plan_reference(plan_schema())
    for line in (
        "| `machine` | [machine](#machine) |",
        "| `memory` | text | `2GiB` |",
        "| `run` **required** | text |",
        "### checks user",
        "### checks http",
        "| `snapshots` | list of `clean-boot`, `provisioned` | `[clean-boot, provisioned]` |",
    ):
        assert line in text
    for name, part in plan_schema()["$defs"].items():
        for key in part.get("properties", {}):
            assert f"| `{key}`" in text, f"{name}.{key}"


def test_every_command_and_option_is_in_the_reference() -> None:
    commands = list(commands_of(root))
    text = command_reference(commands)
    for name in COMMANDS:
        assert f"### kvm-e2e {name}" in text
    assert "$ kvm-e2e run [OPTIONS] PLAN" in text
    assert "| `--fail-on-regression` |" in text


def test_words_of_a_command_cannot_break_its_table() -> None:
    @click.command()
    @click.option("--a", help="one | two\n<b>")
    def odd() -> None:
        """A <b> command."""

    text = command_reference(list(commands_of(odd, "odd")))
    assert "one \\| two &lt;b>" in text
    assert "A &lt;b> command" in text


def test_a_list_in_the_words_of_a_command_stays_a_list() -> None:
    @click.command()
    def odd() -> None:
        """Make one.

        \b
        first   by <hand>
        second  by machine
        """

    text = command_reference(list(commands_of(odd, "odd")))
    assert "Make one.\n\n```text\nfirst   by <hand>\nsecond  by machine\n```\n" in text
    assert "\b" not in command_reference(list(commands_of(root)))


def test_an_action_is_told_by_its_own_file(tmp_path: Path) -> None:
    path = tmp_path / "action.yml"
    path.write_text(
        "inputs:\n  plan: {description: The plan., required: true}\n  accel: {description: How., default: auto}\n"
        "outputs:\n  outcome: {description: How it ended.}\n"
    )
    text = action_reference(path)
    assert "| `plan` | **required** | The plan. |" in text
    assert "| `accel` | `auto` | How. |" in text
    assert "| `outcome` | How it ended. |" in text
    assert "no action.yml" in action_reference(tmp_path / "none")


def test_only_addresses_on_the_web_are_links() -> None:
    assert web_address("https://github.com/org/vps/commit/abc")
    for text in ("javascript:alert(1)", "data:text/html,x", 'https://x"onclick=', "//x", "", "https://a b"):
        assert not web_address(text)


def test_a_key_is_never_a_path() -> None:
    assert slug("20260314-120231-3f9a1c.0123456789ab") == "20260314-120231-3f9a1c.0123456789ab"
    for key in ("../x", "a b", "<b>", ".hidden", "", "é", "x" * 200):
        assert slug(key).startswith("file-")


def test_text_in_a_script_cannot_end_it() -> None:
    text = script_json({"a": "</script><!--\u2028\x00"})
    assert not set(text) & {"<", ">", "&", "\u2028", "\x00"}


def test_the_sheet_has_the_reports_rules_in_the_sites_measure() -> None:
    sheet = style_sheet()
    assert ".gantt" in sheet
    assert "font-size: 0.8rem" in sheet
    assert "@media (max-width: 38rem)" in sheet


def test_a_script_that_is_not_what_it_was_is_not_served(tmp_path: Path) -> None:
    (tmp_path / f"{CHART.sha256[:16]}-{CHART.name}").write_text("alert(1)")
    assert script(CHART, tmp_path) is None
