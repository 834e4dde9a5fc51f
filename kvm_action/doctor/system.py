"""What the system around us allows: user namespaces, and which services it has."""

from datetime import timedelta
from shutil import which

from kvm_action import proc
from kvm_action.doctor.finding import Finding, Level, ok
from kvm_action.procfs import Host

ALLOW = {
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    "/proc/sys/kernel/unprivileged_userns_clone": ("0", "kernel.unprivileged_userns_clone=1"),
    "/proc/sys/user/max_user_namespaces": ("0", "user.max_user_namespaces=15000"),
}
"""Setting, the value that forbids, and what `sysctl` should make of it (Ubuntu 24.04, Debian 10, anybody)."""


def services(host: Host) -> Finding:
    """systemd and polkit: a session of libvirt needs neither."""
    found = {
        "systemd": host.path("/run/systemd/system").is_dir(),
        "polkit": which("pkexec") is not None or host.path("/usr/lib/polkit-1/polkitd").exists(),
    }
    texts = [f"{name} {'is there' if there else 'is absent'}" for name, there in found.items()]
    return ok("services", f"{', '.join(texts)}; user sessions need neither")


def user_namespaces(host: Host, missing: Level, purpose: str) -> Finding:
    """Try to make one. ``missing`` is how bad it is without, ``purpose`` what it is for."""
    tried = proc.run(["unshare", "--user", "--map-root-user", "true"], timeout=timedelta(seconds=5))
    if tried.ok:
        return ok("user namespaces", f"can be made; needed {purpose}")
    seen = f"cannot be made ({tried.last_words}); needed {purpose}"
    return Finding(subject="user namespaces", level=missing, seen=seen, mend=allow_namespaces(host))


def allow_namespaces(host: Host) -> str:
    """The command for the setting that forbids them; a comment if it is none of the known ones."""
    for file, (forbids, setting) in ALLOW.items():
        if host.text(file) == forbids:
            name = setting.partition("=")[0].replace(".", "-")
            return f"sudo sysctl -w {setting}\necho '{setting}' | sudo tee /etc/sysctl.d/60-{name}.conf"
    return "# a container or a security policy forbids them: run on the host itself, or relax the policy"


def subordinate_ids(host: Host, user: str) -> Finding:
    """An ordinary user builds images with a range of user ids of their own."""
    files = ("/etc/subuid", "/etc/subgid")
    missing = [file for file in files if not has_range(host.text(file), user)]
    if not missing:
        return ok("subordinate ids", f"{user} has a range; needed to build images without root")
    mend = f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"
    seen = f"{user} has no range in {' and '.join(missing)}; needed to build images without root"
    return Finding(subject="subordinate ids", level=Level.WARNING, seen=seen, mend=mend)


def has_range(text: str, user: str) -> bool:
    """Does a file like /etc/subuid name the user? (A range given by number is too rare to look for.)"""
    return any(line.split(":")[0] == user for line in text.splitlines())
