"""Runs whose plan looks at an RDP server: a desktop that comes up, one that stays black, and their pictures."""

from pathlib import Path

import pytest
from PIL import Image
from rdp_servers import missing_for_sessions
from tooling import Tool

from kvm_action.checks.rdp.picture import content_of

PASSWORD = "correct-horse-battery"
INSTALL = 1500

PLAN = f"""\
version: 1
name: rdp
machine: {{image: debian-12, memory: 1GiB}}
snapshots: []
provision:
  timeout: 20m
  env: {{PASSWORD: {PASSWORD}}}
  run: |
    export DEBIAN_FRONTEND=noninteractive
    sudo apt-get update -q
    sudo -E apt-get install -yq --no-install-recommends xrdp xorgxrdp xauth xterm openbox ssl-cert
    sudo adduser xrdp ssl-cert
    for user in developer black; do
        sudo useradd -m -s /bin/bash $user
        echo "$user:$PASSWORD" | sudo chpasswd
    done
    echo 'openbox & exec xterm -geometry 80x24+100+100' | sudo tee ~developer/.xsession
    echo 'echo panel: cannot open display >&2; exec sleep 1000' | sudo tee ~black/.xsession
    sudo systemctl restart xrdp-sesman xrdp
checks:
  - rdp: {{port: 3389, nla: false}}
  - rdp: {{user: developer, password: {PASSWORD}}}
  - rdp: {{user: black, password: {PASSWORD}, timeout: 45s}}
  - rdp: {{user: developer, password: not-the-password}}
"""


def picture(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


@pytest.mark.slow
@pytest.mark.timeout(INSTALL + 60)
@pytest.mark.skipif(bool(missing_for_sessions()), reason=missing_for_sessions())
def test_a_desktop_by_rdp_passes_with_its_picture_and_a_black_one_fails_although_its_server_is_well(
    tool: Tool,
) -> None:
    process, out = tool.start("run", str(tool.write_plan(PLAN)))
    ended = tool.wait(process, out, timeout=INSTALL)
    checks = ended.result["checks"]
    assert [check["outcome"] for check in checks] == ["passed", "passed", "failed", "failed"], ended.stdout
    assert "offers TLS" in checks[0]["actual"]
    assert "the screen stayed blank" in checks[2]["message"]
    assert "panel: cannot open display" in checks[2]["message"]
    assert "the server refused the login of developer" in checks[3]["message"]
    assert not content_of(picture(out / "screenshots/rdp-developer.png")).is_blank
    assert content_of(picture(out / "screenshots/rdp-black.png")).is_blank
    assert (out / "report.html").read_text().count("data:image/") >= 3
    assert not [path for path in out.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
