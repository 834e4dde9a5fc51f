"""A workflow of a small project, run by nektos/act on this host, with our action as it stands in this checkout."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
NODE_MODULES = REPOSITORY / "build/action-tests/node_modules"
LIMIT = 900
_PINNED = re.compile(r"uses: (actions/(?:up|down)load-artifact)@([0-9a-f]{40})")
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    return subprocess.run(
        ["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def copy_of_action(into: Path) -> Path:
    """Our own files, without what git does not keep: act copies all of it for each job."""
    for name in git(REPOSITORY, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0"):
        if name and (REPOSITORY / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, into / name)
    return into


@dataclass
class Ended:
    """A workflow that has ended: its log as lines of JSON, and what was uploaded."""

    status: int
    lines: list[dict]
    artifacts: Path

    @property
    def log(self) -> str:
        return "\n".join(str(line.get("msg", "")) for line in self.lines)

    def job(self, name: str) -> str:
        return "\n".join(str(line.get("msg", "")) for line in self.lines if line.get("job", "").endswith(name))

    def outputs(self, job: str = "") -> dict[str, str]:
        """Those of the action, which the workflow prints as ``OUTPUTS {…}``."""
        found = re.findall(r"^OUTPUTS (\{.*\})$", self.job(job) if job else self.log, re.MULTILINE)
        assert len(found) == 1, self.log
        return json.loads(found[0])

    def uploaded(self) -> dict[str, dict[str, bytes]]:
        """The files of each artifact."""
        found = {}
        for path in self.artifacts.rglob("*.zip"):
            with zipfile.ZipFile(path) as packed:
                found[path.parent.name] = {name: packed.read(name) for name in packed.namelist()}
        return found


@dataclass
class Project:
    """A repository with a workflow that uses our action."""

    folder: Path
    action: Path
    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(self, workflow: str, *arguments: str, event: str = "workflow_dispatch") -> Ended:
        self.write(".github/workflows/test.yml", workflow)
        project, artifacts = self.folder / "project", self.folder / "artifacts"
        git(project, "init", "--quiet", "--initial-branch=main")
        git(project, "add", "--all")
        git(project, "commit", "--quiet", "--allow-empty", "--message=test")
        files = (self.action / "action.yml", *(project / ".github/workflows").iterdir())
        pinned = {match for file in files for match in _PINNED.findall(file.read_text())}
        stand_ins = [f"{name}@{sha}={REPOSITORY / 'tests/action' / Path(name).name}" for name, sha in pinned]
        command = [
            *(str(Path(sys.executable).parent / "act"), event, "--json"),
            *("-P", "self-hosted=-self-hosted", "-P", "kvm=-self-hosted"),
            *("--local-repository", f"org/kvm-e2e@v1={self.action}"),
            *(word for stand_in in sorted(stand_ins) for word in ("--local-repository", stand_in)),
            *("--artifact-server-path", str(artifacts), "--artifact-server-addr", "127.0.0.1"),
            *("--artifact-server-port", str(free_port())),
            *("--env", f"KVM_E2E_HOME={self.home}"),
            *("--env", f"ARTIFACT_LIBRARY={NODE_MODULES / '@actions/artifact/lib/artifact.js'}"),
            *(word for name, value in self.environment.items() for word in ("--env", f"{name}={value}")),
            *arguments,
        ]
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.folder / "cache"), "HOME": str(self.folder)}
        ended = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, timeout=LIMIT, check=False
        )
        lines = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith(b"{")]
        assert lines, ended.stderr.decode()
        return Ended(ended.returncode, lines, artifacts)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
