"""The check of an RDP server, as a value: what a handshake has to show, and whether a session has to open."""

from datetime import timedelta
from typing import Self

from pydantic import SecretStr, model_validator

from kvm_action.plan.base_check import BaseCheck, CheckKind
from kvm_action.plan.scalars import CheckTime, PortNumber, Switch, UserName, rule


class RdpCheck(BaseCheck):
    """A real RDP handshake; with user and password a session that shows a picture."""

    kind = CheckKind.RDP
    short = "port"

    port: PortNumber = 3389
    """The port of the RDP server, asked on the guest's own loopback."""
    tls: Switch = True
    """The server has to speak TLS, with a certificate that is valid today. false: it need not."""
    nla: Switch | None = None
    """true: it offers NLA; false: clients without NLA are let in. Not looked at unless given."""
    user: UserName | None = None
    """Who logs in, for a session with a screenshot."""
    password: SecretStr | None = None
    """With what; never shown."""
    required: Switch = False
    """true: a host without the programs for a session is an error; unless given, the session is skipped there."""
    timeout: CheckTime = timedelta(minutes=3)
    """How long the handshake, the login and the desktop's first picture may take together."""

    def _sentence(self) -> str:
        return f"RDP {f'session of {self.user}' if self.user else 'handshake'} on port {self.port}"

    @model_validator(mode="after")
    def _whole_credentials(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise rule("user and password belong together: give both, or neither for a handshake only")
        if self.password is not None and not self._fits_a_line(self.password.get_secret_value()):
            raise rule("a password of an RDP login is one line, not empty")
        if self.required and self.user is None:
            raise rule("required is about a session: give user and password too")
        return self

    @staticmethod
    def _fits_a_line(password: str) -> bool:
        return password != "" and not set(password) & {"\n", "\r", "\0"}
