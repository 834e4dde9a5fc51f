"""Becomes `kvm-e2e action`, in a Python environment that is made once and kept on the runner under a key.

Standard library only, and only what Python 3.8 can read, so that an old Python is told instead of failing.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKED = ROOT / "tools" / "requirements.txt"
BUILD = ROOT / "tools" / "requirements-build.txt"
COMPLETE = ".complete"
UNUSED_DAYS = 30
PACKAGES = "python3-venv python3-dev libvirt-dev pkg-config gcc"
START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from kvm_action.__main__ import main; sys.exit(main())"
)  # fmt: skip


def main():
    if sys.version_info < (3, 11):
        fail("the runner's python3 is {}.{}, and kvm-e2e needs 3.11".format(*sys.version_info[:2]),
             "Debian 12 has it; elsewhere use actions/setup-python before this step.")  # fmt: skip
    environment = home() / "environments" / key()
    if not (environment / COMPLETE).exists():
        build(environment)
    mark_as_used(environment)
    python = str(environment / "bin" / "python")
    # The checkout of the action is new for each job; what Python compiles of it need not be.
    cache = "pycache_prefix={}".format(environment / "pycache")
    os.execv(python, [python, "-I", "-X", cache, "-c", START, str(ROOT), *words()])


def words():
    """The command: of the action itself, or the one that command/action.yml hands over, one argument a line."""
    lines = (line.strip() for line in os.environ.get("KVM_E2E_ARGUMENTS", "action").splitlines())
    return [line for line in lines if line]


def home():
    """As kvm_action/paths.py has it."""
    if os.environ.get("KVM_E2E_HOME"):
        return Path(os.environ["KVM_E2E_HOME"]).absolute()
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "kvm-e2e"


def key():
    """Of everything that an environment depends on; the tool itself is run from its checkout."""
    version = (ROOT / "kvm_action" / "__init__.py").read_bytes()
    parts = [LOCKED.read_bytes(), BUILD.read_bytes(), version, sys.version.encode(), sys.executable.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:24]


def build(environment):
    """Make the environment; of two jobs at once one makes it, and the other waits."""
    environment.parent.mkdir(parents=True, exist_ok=True)
    with open(str(environment) + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (environment / COMPLETE).exists():
            return
        print("::group::Prepare kvm-e2e (once on this runner)", file=sys.stderr, flush=True)
        shutil.rmtree(str(environment), ignore_errors=True)
        run(sys.executable, "-I", "-m", "venv", str(environment))
        pip = [str(environment / "bin" / "python"), "-I", "-m", "pip", "install", "--quiet", "--require-hashes"]
        pip += ["--disable-pip-version-check", "--no-deps"]
        run(*pip, "-r", str(BUILD))
        run(*pip, "--no-build-isolation", "-r", str(LOCKED))
        (environment / COMPLETE).touch()
        remove_unused(environment.parent, environment)
        print("::endgroup::", file=sys.stderr, flush=True)


def mark_as_used(environment):
    try:
        os.utime(str(environment / COMPLETE))
    except OSError:
        pass  # another user's, and complete: that will do


def remove_unused(folder, but):
    """Environments of earlier versions that no job has used for a month."""
    for marker in folder.glob("*/" + COMPLETE):
        if marker.parent != but and time.time() - marker.stat().st_mtime > UNUSED_DAYS * 86400:
            marker.unlink()
            shutil.rmtree(str(marker.parent), ignore_errors=True)


def run(*command):
    pipe = subprocess.PIPE
    # The inputs hold a token and passwords, which are nothing for programs that build packages.
    environ = {name: value for name, value in os.environ.items() if name != "KVM_E2E_INPUTS"}
    ended = subprocess.run(
        command, check=False, env=environ, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT
    )
    lines = ended.stdout.decode(errors="replace").splitlines()
    if ended.returncode:
        for line in lines:
            print("  | " + line.replace("##[", "## ["), file=sys.stderr)
        print("::endgroup::", file=sys.stderr, flush=True)
        words = lines[-1] if lines else "exit status {}".format(ended.returncode)
        fail("could not make the Python environment: " + words, "Are these packages installed? " + PACKAGES)


def fail(message, hint):
    for character, escape in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        message = message.replace(character, escape)
    print("::error title=kvm-e2e::{}%0A{}".format(message, hint), file=sys.stderr, flush=True)
    if os.environ.get("GITHUB_OUTPUT"):
        with open(os.environ["GITHUB_OUTPUT"], "a") as outputs:
            outputs.write("outcome=error\nfailure-class=host\n")
    sys.exit(3)


if __name__ == "__main__":
    main()
