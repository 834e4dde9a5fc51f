"""Users, packages, services and ports, by testinfra's modules."""

from typing import Final

from testinfra.host import Host

from kvm_action.checks.facts import CannotAskError, Fact, Verdict, equal, judge
from kvm_action.plan.checks import PackageCheck, PortCheck, ServiceCheck, UserCheck

# What `systemctl is-enabled` answers with status 0 (systemctl(1)).
_ENABLED: Final = {"enabled", "enabled-runtime", "static", "alias", "indirect", "generated"}
_ANY: Final = {4: "0.0.0.0", 6: "::"}  # noqa: S104 - what to look for, nothing is bound


def check_user(check: UserCheck, host: Host) -> Verdict:
    """Does the user exist, with these groups, shell and home?"""
    user = host.user(check.name)
    exists = _presence(f"user {check.name}", check.exists, user.exists)
    if not check.exists or not exists.holds:
        return judge([exists])
    facts = [exists]
    if check.groups:
        facts.append(_in_groups(check, user.groups))
    if check.shell is not None:
        facts.append(equal(f"the shell of {check.name}", check.shell, user.shell))
    if check.home is not None:
        facts.append(equal(f"the home of {check.name}", check.home, user.home))
    return judge(facts)


def _in_groups(check: UserCheck, actual: list[str]) -> Fact:
    missing = [group for group in check.groups if group not in actual]
    complaint = f"user {check.name} is not in {' and '.join(missing)}, only in {' '.join(actual)}"
    return Fact(f"groups {' '.join(check.groups)}", f"groups {' '.join(actual)}", not missing, complaint)


def check_package(check: PackageCheck, host: Host) -> Verdict:
    """Is the package installed, in this version?"""
    package = host.package(check.name)
    installed = _presence(f"package {check.name}", check.installed, package.is_installed, "installed")
    if not check.installed or not installed.holds or check.version is None:
        return judge([installed])
    return judge([installed, equal(f"the version of {check.name}", check.version, package.version)])


def check_service(check: ServiceCheck, host: Host) -> Verdict:
    """Is the unit active, and enabled? With systemd one question answers all of it."""
    service = host.service(check.name)
    try:
        properties = service.systemd_properties
    except NotImplementedError:  # another init system
        enabled = service.is_enabled if check.enabled is not None else False
        return judge(_service_facts(check, service.is_running, "running", enabled, "enabled"))
    if properties.get("LoadState") == "not-found":
        return judge([Fact(check.title, "no such unit", False, f"there is no service {check.name} in the guest")])
    active = properties.get("ActiveState", "unknown")
    words = f"{active} ({properties.get('SubState', 'unknown')})"
    state = properties.get("UnitFileState", "")
    enabled = service.is_enabled if check.enabled is not None and not state else state in _ENABLED
    return judge(_service_facts(check, active in ("active", "reloading"), words, enabled, state))


def _service_facts(check: ServiceCheck, running: bool, words: str, enabled: bool, state: str) -> list[Fact]:
    now = words if running or words != "running" else "not running"
    wanted = "running" if check.running else "not running"
    complaint = f"service {check.name} should be {wanted}, and it is {now}"
    facts = [Fact(wanted, now, running == check.running, complaint)]
    if check.enabled is not None:
        is_now = state if enabled or state != "enabled" else "disabled"
        wanted = "enabled" if check.enabled else "not enabled"
        complaint = f"service {check.name} should be {wanted} at boot, and it is {is_now or 'not enabled'}"
        facts.append(Fact(wanted, is_now or "not enabled", enabled == check.enabled, complaint))
    return facts


def check_port(check: PortCheck, host: Host) -> Verdict:
    """Does something listen on the port, at this address or at all addresses?"""
    port = f"{check.protocol} port {check.port}"
    open_at = sorted(
        address
        for address, number in _listening(host, check.protocol)
        if number == check.port and _covers(address, check.address)
    )
    where = f" on {check.address}" if check.address else ""
    actual = f"listening on {' and '.join(open_at)}" if open_at else "nothing listens"
    expected = f"listening{where}" if check.listening else "nothing listens"
    complaint = (
        f"nothing listens on {port}{where}" if check.listening else f"{port} is open on {' and '.join(open_at)}"
    )
    return judge([Fact(expected, actual, bool(open_at) == check.listening, complaint)])


def _listening(host: Host, protocol: str) -> set[tuple[str, int]]:
    prefix = f"{protocol}://"
    try:
        sockets = host.socket.get_listening_sockets()
    except RuntimeError as error:
        raise CannotAskError(
            "the guest has neither ss nor netstat to ask; let the script install iproute2"
        ) from error
    specs = [socket.removeprefix(prefix) for socket in sockets if socket.startswith(prefix)]
    return {(address, int(port)) for address, _, port in (spec.rpartition(":") for spec in specs)}


def _covers(listens: str, asked: str | None) -> bool:
    if asked is None or listens == asked:
        return True
    return listens == _ANY[6 if ":" in asked else 4]


def _presence(what: str, wanted: bool, found: bool, word: str = "there") -> Fact:
    yes, no = f"{what} is {word}", f"{what} is not {word}"
    return Fact(yes if wanted else no, yes if found else no, wanted == found, yes if found else no)
