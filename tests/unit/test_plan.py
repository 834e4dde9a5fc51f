"""Plans: what is read, what is refused, and how a mistake is shown."""

import contextlib
import json
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from kvm_action.errors import ExitCode, PlanError
from kvm_action.plan.load import load_plan
from kvm_action.plan.model import Keep, Plan
from kvm_action.plan.render import InvalidPlanError
from kvm_action.plan.rerun import SecondRun
from kvm_action.plan.schema import plan_schema

EXAMPLES = Path(__file__).parents[2] / "examples"
WHOLE = """
version: 1
name: vps
machine:
  {image: debian-13, cpus: 2, memory: 4GiB, disk: 25GiB, firmware: bios, network: user, cpu: host-passthrough}
user: {name: testuser, sudo: true, password: hunter22}
files: [{from: ., to: /opt/vps, exclude: [.git]}]
provision: {run: sudo ./install.sh, workdir: /opt/vps, env: {A: b}, timeout: 30m, idempotent: true}
checks:
  - user: {name: developer, groups: [sudo], shell: /bin/bash}
  - package: xfce4
  - service: {name: xrdp, running: true, enabled: true}
  - port: 3389
  - rdp: {port: 3389}
  - desktop: {session: xfce}
  - ide: {command: geany, user: developer}
  - file: {path: /etc/xrdp/xrdp.ini, mode: "0644", contains: "port=3389"}
  - command: {run: id developer, exit: 0, stdout: sudo}
  - http: {url: "http://127.0.0.1:8080/", status: 200}
snapshots: [clean-boot, provisioned]
keep: on-failure
artifacts: [/var/log/vps/**]
benchmark: {runs: 5, backends: [kvm, docker]}
"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "plan.yml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(folder: Path, text: str | bytes, *overrides: str) -> str:
    with pytest.raises(PlanError) as raised:
        load_plan(write(folder, text), overrides)
    assert raised.value.exit_code == ExitCode.USAGE
    return f"{raised.value.message}\n{raised.value.hint}"


def test_every_key_of_the_design_is_read_into_values_that_mean_something(tmp_path: Path) -> None:
    plan = load_plan(write(tmp_path, WHOLE)).plan
    assert (plan.machine.memory, plan.machine.disk) == (4 << 30, 25 << 30)
    assert plan.provision.timeout == timedelta(minutes=30)
    assert plan.keep is Keep.ON_FAILURE
    assert [check.kind for check in plan.checks] == [
        "user", "package", "service", "port", "rdp", "desktop", "ide", "file", "command", "http",
    ]  # fmt: skip
    assert "hunter22" not in repr(plan)


def test_only_the_script_has_no_default(tmp_path: Path) -> None:
    plan = load_plan(write(tmp_path, "provision: {run: ./install.sh}")).plan
    assert (plan.machine.image, plan.user.name, plan.keep) == ("debian-13", "testuser", Keep.NEVER)
    assert "provision.run" in refusal(tmp_path, "name: x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("provision: {run: x}\nmachine: {memroy: 4GiB}", ["plan.yml:2:11", "machine.memroy", "machine.memory"]),
        ("provision: {run: x}\nmachine: {cpus: 0}", ["2:17", "from 1"]),
        (
            "provision: {run: x}\nmachine: {disk_io: native}",
            ["2:10", "none or directsync", "disk_cache is unsafe"],
        ),
        (
            "provision: {run: x}\nmachine: {disk_cache: writeback, disk_io: nativ}",
            ["disk_io", "Did you mean native"],
        ),
        ("provision: {run: x}\nmachine: {disk_cache: of}", ["2:23", "one of unsafe"]),
        ("provision: {run: x}\nmachine: {hugepages: yes}", ["Write true."]),
        ("provision: {run: x}\nmachine: {hugepages: 'yes'}", ["Write true, without quotes."]),
        ("provision: {run: x}\nversion: '1'", ['expected 1, found the text "1"', "without quotes"]),
        (
            "provision: {run: x}\nbenchmark: {backends: []}",
            ["expected a list with something in it, found a list with"],
        ),
        ("provision: {run: x}\nartifacts: [" + "/a, " * 21_000 + "]", ["values: 20,000"]),
        ("provision: {run: x}\nname: " + "[" * 51 + "]" * 51, ["levels: 50"]),
        ("provision: {run: x, idempotent: {pahts: [/a]}}", ["1:34", "provision.idempotent.paths"]),
        ("provision: {run: x, idempotent: {paths: [a]}}", ["an absolute path in the guest"]),
        ("provision: {run: x, idempotent: {ignore: ['!']}}", ["1:43", "no pattern"]),
        ("provision: {run: x, idempotent: }", ["expected true or false"]),
        ("provision: {run: x, idempotent: 'yes'}", ["Write true"]),
        ("provision: {run: x}\nmachine: {memory: 1B}", ["2:19", "1B"]),
        ("provision: {run: x}\nmachine: {disk: 900TiB}", ["2:17", "900TiB"]),
        ("provision: {run: x, timeout: -5m}", ["provision.timeout"]),
        ("provision: {run: x}\nkeep: allways", ["always"]),
        ("provision: {run: x}\nchecks: [{file: {path: /a, mode: 0644}}]", ["quotes"]),
        ("provision: {run: x}\nchecks: [{pakage: curl}]", ["package"]),
        ("provision: {run: x}\nprovision: {run: y}", ["provision"]),
        ("provision: [", ["plan.yml:"]),
        ("- just\n- a list", ["1:1"]),
        ("", ["plan.yml"]),
        (b"\xff\xfe\x00", ["plan.yml"]),
        ("provision: {run: x}\nfiles: [{from: nowhere, to: /opt}]", ["nowhere"]),
    ],
)
def test_a_mistake_is_shown_with_its_place_and_what_was_meant(
    tmp_path: Path, text: str | bytes, words: list[str]
) -> None:
    message = refusal(tmp_path, text)
    for word in words:
        assert word in message


def test_all_mistakes_are_shown_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, "provision: {run: x}\nmachine: {cpus: 0, memory: 1B}\nkeep: maybe")
    assert message.index("machine.cpus") < message.index("machine.memory") < message.index("keep")


def test_an_alias_bomb_is_refused_without_filling_the_memory(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert "aliases" in refusal(tmp_path, "\n".join(lines))


def test_a_missing_plan_and_a_folder_are_said_so(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.yml", tmp_path):
        with pytest.raises(PlanError):
            load_plan(path)


def test_no_plan_is_suggested_that_has_nothing_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mkdocs.yml", "action.yml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    for wanted in (Path(), tmp_path / "nothing.yml"):
        with pytest.raises(PlanError) as raised:
            load_plan(wanted)
        assert raised.value.hint.startswith("The smallest plan is")
    (tmp_path / "plan.yaml").touch()
    with pytest.raises(PlanError) as raised:
        load_plan(tmp_path / "plan.yml")
    assert raised.value.hint == f"Did you mean {tmp_path}/plan.yaml?"


@pytest.mark.parametrize(
    ("override", "value"),
    [("machine.memory=8GiB", 8 << 30), ("machine.memory=512MiB", 512 << 20)],
)
def test_set_overrides_a_key(tmp_path: Path, override: str, value: int) -> None:
    assert load_plan(write(tmp_path, WHOLE), [override]).plan.machine.memory == value


def test_a_second_run_is_asked_for_by_a_switch_or_by_what_else_it_must_leave_alone(tmp_path: Path) -> None:
    def rerun(value: str) -> tuple[object, str]:
        loaded = load_plan(write(tmp_path, f"provision: {{run: x, idempotent: {value}}}"))
        return loaded.plan.provision.idempotent, loaded.digest

    assert rerun("false")[0] is None
    assert rerun("true") == rerun("{}") == (SecondRun(), rerun("true")[1])
    assert rerun("{paths: [/opt/a], ignore: ['*.log']}")[0] == SecondRun(paths=("/opt/a",), ignore=("*.log",))
    assert len({rerun(value)[1] for value in ("true", "false", "{paths: [/opt/a]}")}) == 3


@pytest.mark.parametrize("value", ["true", "false", "{}", "{paths: [/opt/a]}", "{ignore: [x]}"])
def test_both_forms_of_a_second_run_are_in_the_schema(value: str) -> None:
    plan = YAML(typ="safe").load(f"provision: {{run: x, idempotent: {value}}}")
    assert jsonschema.Draft202012Validator(plan_schema()).is_valid(plan)


def test_a_disk_past_the_hosts_cache_may_use_native_io(tmp_path: Path) -> None:
    machine = load_plan(
        write(tmp_path, "provision: {run: x}\nmachine: {disk_cache: none, disk_io: native}")
    ).plan.machine
    assert (machine.disk_cache, machine.disk_io) == ("none", "native")


def test_a_wrong_override_names_itself(tmp_path: Path) -> None:
    message = refusal(tmp_path, WHOLE, "machine.memroy=8GiB")
    assert "machine.memroy" in message
    assert "machine.memory" in message


def test_a_secret_is_not_shown_in_an_error(tmp_path: Path) -> None:
    assert "hunter22" not in refusal(tmp_path, WHOLE.replace("testuser", "Not A User!"))


@pytest.mark.parametrize(
    "text",
    [
        "provision: {run: x}\nuser:\n  password: @hunter22\n",
        "user:\n  password: *hunter22\nprovision: {run: x}\n",
        "provision:\n  run: x\n  env:\n    API_TOKEN: hunter22: x\n",
        "provision:\n  run: x\n  env:\n    my_secret: hunter22: x\n",
        "provision: {run: x}\nuser:\n  name: a\n  password hunter22\n",
        "provision: {run: x}\nuser: {passwrd: @hunter22}\n",
        "provision: {run: x}\nuser: {password: \n  - hunter22, name: A}\n",
        "provision:\n  run: x\n  env: api=\n    x: hunter22\n",
        "provision: {run: x, env: {api: a: hunter22}}\n",
    ],
)
def test_a_secret_in_text_that_is_no_yaml_is_not_shown_either(tmp_path: Path, text: str) -> None:
    assert "hunter22" not in refusal(tmp_path, text)


@pytest.mark.parametrize("secret", ["0123456789", "1234567890123456789", "0x1F1F1F", "1_000_000", "0o17171"])
@pytest.mark.parametrize("place", ["env: {PIN: SECRET}", "env: [SECRET]", "env: SECRET"])
def test_a_secret_of_digits_is_in_no_part_of_the_error(tmp_path: Path, secret: str, place: str) -> None:
    text = f"provision: {{run: x, {place.replace('SECRET', secret)}}}\nuser: {{password: {secret}}}\n"
    with pytest.raises(InvalidPlanError) as raised:
        load_plan(write(tmp_path, text))
    assert secret not in f"{raised.value.message}{raised.value.hint}{raised.value.problems}"


@pytest.mark.parametrize(
    "text",
    [
        "provision: {run: x, environment: {TOKEN: hunter22}}",
        "provision: {run: x, evn: {api: hunter22}}",
        "provision: {run: x}\nenv: {TOKEN: hunter22}",
        "provision: {run: x}\nuser: {passwrd: hunter22}",
        "provision: {run: x}\nusr: {passwrd: hunter22}",
        "provision: {run: x}\npassword: hunter22",
        "provision: {run: x}\nsecrets: [{name: a, value: hunter22}]",
        "provision: {run: x, env: [TOKEN=hunter22]}",
        "provision: {run: x, env: TOKEN=hunter22}",
        "provision: {run: x, env: {TOKEN=hunter22}}",
        "provision: {run: x, env: {token=hunter22: }}",
        "provision: {run: x, env: {TOKEN: {inner: hunter22}}}",
        "provision: {run: x, env: {TOKEN: a, TOKEN: hunter22}}",
        'provision: {run: x, env: {TOKEN: "abc\n  hunter22", 1: x}}',
        "provision: {run: x}\nchecks: [{rdp: {user: a, pasword: hunter22}}]",
        "provision: {run: x}\nchecks: {rdp: {user: a, pasword: hunter22}}",
        "provision: {run: x, env: {TOKEN: !hunter22 }}",
        "provision: {run: x, env: {TOKEN: !<hunter22> x}}",
        "provision: {run: x}\nuser: {password: &hunter22 , name: A}",
        "provision: {run: x}\nuser: {password: 'abc,hunter22' , name: A}",
        "provision: {run: x}\nuser: {password: abc,hunter22, name: A}",
        "provision: {run: x, env: {TOKEN: abc,hunter22}}",
        "provision:\n  run: x\n  env:\n    TOKEN: #hunter22\n",
        "provision:\n  run: x\n  env: TOKEN=abc #hunter22\n",
        "TOKEN=hunter22",
        "- TOKEN=hunter22",
    ],
)
def test_what_may_be_a_secret_in_a_wrong_place_is_not_shown(tmp_path: Path, text: str) -> None:
    assert "hunter22" not in refusal(tmp_path, text)


@pytest.mark.parametrize(
    "argument",
    [
        "provision.env=hunter22",
        "provision.env=[hunter22]",
        "provision.env.TOKEN hunter22",
        "provision.env.TOKEN:hunter22=",
        "provision.environment.TOKEN=hunter22",
        "user.passwrd=hunter22",
    ],
)
def test_a_secret_in_a_wrong_override_is_not_shown(tmp_path: Path, argument: str) -> None:
    assert "hunter22" not in refusal(tmp_path, WHOLE, argument)


@pytest.mark.parametrize(
    "text",
    [
        "provision: {run: x}\nmachine: {memroy: 4GiB, cpus: 5}",
        "provision: {run: x}\nmemory: 4GiB",
        "provision: {run: x}\nchecks: [{pakage: 4GiB}]",
        "provision: {run: x}\nchecks: {package: 4GiB}",
        "provision: {run: x}\nmachine: [{memory: 4GiB}]",
        "provision: {run: x}\nname: b\nname: 4GiB",
    ],
)
def test_what_is_no_secret_stays_readable(tmp_path: Path, text: str) -> None:
    assert "4GiB" in refusal(tmp_path, text)


@pytest.mark.parametrize(
    "value", ["0123456789", "true", "null", "1e10", "12345678901234567890", "'a'", "[a", " a "]
)
def test_a_secret_of_an_override_is_taken_as_it_stands(tmp_path: Path, value: str) -> None:
    overrides = [f"provision.env.TOKEN={value}", f"user.password={value}"]
    plan = load_plan(write(tmp_path, WHOLE), overrides).plan
    assert plan.provision.env["TOKEN"].get_secret_value() == value
    assert plan.user.password
    assert plan.user.password.get_secret_value() == value


@pytest.mark.parametrize(
    ("argument", "read"),
    [
        ('provision.run="a\\nb"', "a\nb"),
        ("provision.run='0123'", "0123"),
        ("provision.run=0123", "0123"),
        ("provision.run=true", "true"),
        ('provision.run="a', '"a'),
    ],
)
def test_quotes_around_text_that_is_no_secret_are_yamls(tmp_path: Path, argument: str, read: str) -> None:
    assert plan_of(tmp_path, argument).provision.run == read


def test_an_empty_secret_is_refused_since_it_was_most_likely_not_there(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="found nothing"):
        plan_of(tmp_path, "provision.env.TOKEN=")


def plan_of(folder: Path, argument: str) -> Plan:
    (folder / "plan.yml").write_text("provision: {run: x}\n")
    return load_plan(folder / "plan.yml", [argument]).plan


def test_an_override_that_is_no_text_is_still_read_as_yaml(tmp_path: Path) -> None:
    overrides = [
        "machine.cpus=3",
        "provision.idempotent={paths: [/a]}",
        "provision.env={A: '1'}",
        "user.sudo=false",
    ]
    plan = load_plan(write(tmp_path, WHOLE), overrides).plan
    assert (plan.machine.cpus, plan.user.sudo) == (3, False)
    assert plan.provision.idempotent == SecondRun(paths=("/a",))
    assert plan.provision.env["A"].get_secret_value() == "1"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("provision:\n  run: echo a: b\n", "  run: echo a:**"),
        ("provision:\n  run: x\n name: some thing\n", " name: some thing"),
        ("provision: {run: x}\nchecks:\n  - command: {run: x]\n", "  - command: {run: x]"),
    ],
)
def test_of_text_that_is_no_yaml_what_is_surely_no_secret_is_shown(tmp_path: Path, text: str, shown: str) -> None:
    assert shown in refusal(tmp_path, text)


def test_a_password_is_one_line(tmp_path: Path) -> None:
    shown = refusal(tmp_path, 'provision: {run: x}\nuser: {password: "hunter22\\nroot:x"}\n')
    assert "one line" in shown
    assert "hunter22" not in shown


@pytest.mark.parametrize(("written", "mib"), [("1.2GiB", 1229), ("1000000K", 977), ("4GiB", 4096)])
def test_memory_is_whole_mebibytes_as_libvirt_makes_it(tmp_path: Path, written: str, mib: int) -> None:
    plan = load_plan(write(tmp_path, f"provision: {{run: x}}\nmachine: {{memory: {written}}}\n")).plan
    assert plan.machine.memory == mib << 20


def test_a_path_with_a_zero_byte_is_a_mistake_of_the_plan(tmp_path: Path) -> None:
    assert "a path" in refusal(tmp_path, 'provision: {run: x}\nfiles: [{from: "a\\0/b", to: /x}]\n')


def test_the_digest_follows_what_is_tested_and_not_how_it_is_written(tmp_path: Path) -> None:
    one = load_plan(write(tmp_path, "provision: {run: x}\nmachine: {memory: 4GiB}")).digest
    same = load_plan(
        write(tmp_path, "# said otherwise\nmachine:\n  memory: 4096MiB\nprovision:\n  run: x\n")
    ).digest
    other = load_plan(write(tmp_path, "provision: {run: y}\nmachine: {memory: 4GiB}")).digest
    assert one == same != other


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/plan.yml")), ids=lambda path: path.parent.name)
def test_the_examples_are_valid_by_the_loader_and_by_the_schema(path: Path) -> None:
    load_plan(path)
    jsonschema.Draft202012Validator(plan_schema()).validate(YAML(typ="safe").load(path))


def test_the_schema_is_itself_valid_and_refuses_what_the_loader_refuses() -> None:
    schema = plan_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(json.loads(json.dumps(schema)))
    assert validator.is_valid(YAML(typ="safe").load(WHOLE))
    assert not validator.is_valid({"provision": {"run": "x"}, "machine": {"memroy": "4GiB"}})
    assert not validator.is_valid({"provision": {"run": "x"}, "checks": [{"pakage": "curl"}]})


@given(st.binary(max_size=200))
def test_no_bytes_can_make_the_loader_crash(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = write(tmp_path_factory.getbasetemp(), data)
    with contextlib.suppress(PlanError):  # the only error that it may raise
        load_plan(path)
