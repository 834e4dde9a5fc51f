"""A bench's comparison as Markdown."""

from kvm_action.bench.samples import Bench
from kvm_action.bench.table import table_of
from kvm_action.report.gfm import escape
from kvm_action.units import format_seconds


def comparison_markdown(bench: Bench) -> str:
    """bench.md."""
    table = table_of(bench)
    lines = [f"# {escape(bench.plan)}: backends compared", ""]
    if bench.series:
        lines += [_line(table.headings), "|---" * len(table.headings) + "|", *map(_line, table.lines), ""]
    lines += [f"- {escape(note)}" for note in table.notes]
    lines += [f"- {escape(host)}" for host in hosts(bench)]
    lines.append(f"- {escape(cost(bench))}")
    return "\n".join(lines) + "\n"


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(escape(cell) for cell in cells) + " |"


def hosts(bench: Bench) -> list[str]:
    """The testbeds that the samples came from."""
    found = {}
    for sample in bench.samples:
        if (host := sample.result.host) and sample.counts:
            words = (host.cpu, f"{host.cpus} CPUs", f"Linux {host.kernel}", host.hypervisor)
            backend = sample.result.backend
            found[host.fingerprint] = f"{backend} on {', '.join(filter(None, words))}: testbed {host.fingerprint}"
    return list(found.values())


def cost(bench: Bench) -> str:
    """What measuring cost beside what was measured."""
    share = bench.overhead_seconds / bench.seconds if bench.seconds else 0.0
    return (
        f"{len(bench.samples)} runs in {format_seconds(bench.seconds)};"
        f" measuring itself took {format_seconds(bench.overhead_seconds)} ({share:.1%}) of that"
    )
