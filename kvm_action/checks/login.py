"""Questions asked as somebody who logs in: with the login's own shell, profile and PATH."""

from collections.abc import Collection, Mapping
from shlex import quote
from typing import Final

from testinfra.host import Host

from kvm_action.checks.facts import CannotAskError, shown
from kvm_action.checks.records import PRINTER, answers, by_name

# The script goes in by standard input: what a login shell makes of quotes is its own affair.
_LOGIN: Final = """\
# what a login finds
{printer}
u={user}
[ -n "$u" ] || u=${{SUDO_USER:-$(id -un)}}
r user; printf %s "$u"
if ! id -u "$u" >/dev/null 2>&1; then r missing
elif [ "$(id -u)" = 0 ]; then r login; printf %s {script} | su -l "$u" -c 'exec sh' 2>&1
elif [ "$(id -un)" = "$u" ]; then r login; printf %s {script} | "${{SHELL:-/bin/sh}}" -l -c 'exec sh' 2>&1
else r forbidden
fi
"""
_FIND: Final = 'for name in {names}; do r "found $name"; command -v -- "$name"; done'
_FOUND: Final = "found "


def as_login(user: str | None, script: str) -> str:
    """A shell script that runs ``script`` as ``user`` (None: the plan's) logs in, between records.

    Its records are ``user``, then ``missing``, ``forbidden`` or ``login`` with what the login says; then ``in``
    and those of ``script``.
    """
    whole = f"{PRINTER}\nr in\n{script}\n"
    return _LOGIN.format(printer=PRINTER, user=quote(user or ""), script=quote(whole))


def refused_login(told: Mapping[str, str]) -> str:
    """Why the user cannot log in, as a sentence; empty when they can.

    Raises CannotAskError when it is not them but us who may not.
    """
    user = told.get("user", "")
    if "forbidden" in told:
        raise CannotAskError(f"what {user} finds, only {user} and root can see: give the plan's user sudo")
    if "missing" in told:
        return f"user {user} is not there"
    if "in" not in told:
        return f"user {user} cannot log in: {shown(told.get('login', '')) or 'the login says nothing'}"
    return ""


def find_programs(host: Host, user: str, names: Collection[str]) -> Mapping[str, str]:
    """Where a login of ``user`` finds each program; those it does not find are left out. Raises CannotAskError."""
    if not names:
        return {}
    told = answers(host, as_login(user, _FIND.format(names=" ".join(quote(name) for name in names))))
    if refused := refused_login(by_name(told)):
        raise CannotAskError(refused)
    found = {one.name.removeprefix(_FOUND): one.text for one in told if one.name.startswith(_FOUND)}
    return {name: path for name, path in found.items() if path}
