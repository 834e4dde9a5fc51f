"""The report in a real browser, and the whole folder of reports on a real disk."""

import html
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import samples
from PIL import Image

from kvm_action import proc, result_file
from kvm_action.errors import HostError
from kvm_action.report import write_reports
from kvm_action.report.html import html as report_html
from kvm_action.results import RunResult

pytestmark = pytest.mark.integration
CHROMIUM = [
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
FRAME = '<iframe style="width:{width}px;height:800px;border:0" srcdoc="{page}"></iframe>'
MEASURE = """
<output></output>
<script>
addEventListener("load", () => {
  const roots = [...document.querySelectorAll("iframe")].map((frame) => frame.contentDocument.documentElement);
  const found = roots.map((root) => `${root.scrollWidth - root.clientWidth} px beyond ${root.offsetWidth}`);
  document.querySelector("output").textContent = found.join(", ");
});
</script>
"""


@pytest.mark.parametrize("sample", [samples.failed_check_run, samples.hostile_run], ids=lambda run: run.__name__)
def test_the_page_never_scrolls_sideways(sample: Callable[[], RunResult], tmp_path: Path) -> None:
    if not shutil.which("chromium"):
        pytest.skip("needs chromium")
    page = html.escape(report_html(sample()))
    wrapper = tmp_path / "wrapper.html"
    wrapper.write_text("".join(FRAME.format(width=width, page=page) for width in (320, 360, 768, 1200)) + MEASURE)
    argv = [*CHROMIUM, "--hide-scrollbars", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    shown = proc.run([*argv, wrapper.as_uri()], timeout=timedelta(minutes=1)).stdout
    measured = shown.split("<output>")[1].split("</output>")[0]
    assert measured == "0 px beyond 320, 0 px beyond 360, 0 px beyond 768, 0 px beyond 1200"


@pytest.mark.parametrize("sample", [samples.passed_run, samples.hostile_run, samples.plan_error_run])
def test_the_folder_holds_every_report_and_nothing_half_written(
    sample: Callable[[], RunResult], tmp_path: Path
) -> None:
    written = write_reports(sample(), tmp_path)
    assert [path.name for path in written] == ["report.md", "report.html", "junit.xml", "ctrf.json"]
    assert sorted(tmp_path.iterdir()) == sorted(written)


def test_reports_can_be_made_again_from_result_json_alone(tmp_path: Path) -> None:
    result_file.write(samples.failed_check_run(), tmp_path / "result.json")
    write_reports(samples.failed_check_run(), tmp_path)
    first = (tmp_path / "report.html").read_text()
    write_reports(result_file.read(tmp_path / "result.json"), tmp_path)
    assert (tmp_path / "report.html").read_text() == first


def test_screenshots_stand_in_the_page_and_damaged_ones_do_not(tmp_path: Path) -> None:
    folder = tmp_path / "screenshots"
    folder.mkdir()
    Image.new("RGB", (2000, 1500), "teal").save(folder / "desktop.png")
    Image.new("RGB", (800, 600), "navy").save(folder / "console.ppm")
    Image.effect_noise((1600, 1200), 80).convert("RGB").save(folder / "noise.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot at all")
    (folder / "notes.txt").write_text("no picture")
    write_reports(samples.passed_run(), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert page.count("<img ") == 3
    assert len(page) < 1_500_000
    assert "broken.png" not in page


def test_links_never_lead_out_of_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "secret").write_text("x")
    (out / "console.log").write_text("x")
    run = samples.passed_run()
    odd = [
        samples.Artifact(path=path, bytes=1, sha256="")
        for path in ("../secret", "/etc/passwd", "a\x00b", "x" * 300)
    ]
    write_reports(samples.replace(run, artifacts=(run.artifacts[0], *odd)), out)
    page = (out / "report.html").read_text()
    assert 'href="./console.log"' in page
    assert 'href="./..' not in page
    assert "passwd</a>" not in page


def test_a_folder_that_takes_no_files_is_an_error_that_says_so() -> None:
    with pytest.raises(HostError) as caught:
        write_reports(samples.passed_run(), Path("/proc/self"))
    assert "report.md" in caught.value.message
    assert caught.value.hint
