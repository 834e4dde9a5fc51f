"""Starting from a template and from a restored state, beside `docker run` of the same files."""

from functools import partial

from benchmarks.docker_run import docker
from benchmarks.reading import Reading
from benchmarks.warm_machine import Started, start
from benchmarks.workshop import Workshop
from kvm_action.plan.model import StartMode

AGENT_SECONDS, COMMAND_SECONDS, RESTORE_SECONDS, CLEANUP_SECONDS, RATIO = 0.4, 1.5, 3.0, 2.0, 1.0
SAME = "debian-12, 2 CPUs, 2 GiB; one warm-up apart"


def measure(workshop: Workshop) -> list[Reading]:
    """Seven pairs of template starts and `docker run`, then seven restores."""
    workshop.tool("image", "build", "debian-12")
    taken: list[Started] = []

    def ours(number: int) -> float:
        taken.append(start(workshop.folder / f"warm-{number}", StartMode.TEMPLATE))
        return taken[-1].agent

    start(workshop.folder / "first", StartMode.TEMPLATE)
    with docker() as rival:
        rival.start()
        agents, containers = workshop.interleaved(workshop.count(7), ours, lambda _number: rival.start())
    return [
        *_of_templates(taken, agents, containers),
        *_of_restores(workshop),
    ]


def _of_templates(taken: list[Started], agents: tuple[float, ...], containers: tuple[float, ...]) -> list[Reading]:
    beside = partial(Reading, unit="s", theirs=containers, against="docker run to SSH greeting")
    commands, cleanups = tuple(one.command for one in taken), tuple(one.cleanup for one in taken)
    return [
        beside(
            name="template start to the guest agent",
            ours=agents,
            at_most=AGENT_SECONDS,
            ratio_at_most=RATIO,
            includes=f"{SAME}; from creating the overlay to an answer of the guest agent",
        ),
        beside(
            name="template start to a command over SSH",
            ours=commands,
            at_most=COMMAND_SECONDS,
            includes=f"{SAME}; identity renewed and proved, network card plugged in, login, a command answered",
        ),
        Reading(
            name="clean-up of a machine",
            unit="s",
            ours=cleanups,
            at_most=CLEANUP_SECONDS,
            includes="session closed, domain destroyed, files removed",
        ),
    ]


def _of_restores(workshop: Workshop) -> list[Reading]:
    start(workshop.folder / "restore", StartMode.RESTORE)
    restores = [
        start(workshop.folder / f"restore-{number}", StartMode.RESTORE) for number in range(workshop.count(7))
    ]
    return [
        Reading(
            name="restore to a command over SSH",
            unit="s",
            ours=tuple(one.command for one in restores),
            at_most=RESTORE_SECONDS,
            includes=f"{SAME}; the same as from a template, with the memory in the saved state",
        )
    ]
