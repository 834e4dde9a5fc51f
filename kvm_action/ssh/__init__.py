"""SSH: keys, a verified and authenticated session with a guest. The only package that imports paramiko."""

from kvm_action.reach import Address
from kvm_action.ssh.connection import connect
from kvm_action.ssh.keys import KeyPair, generate_key
from kvm_action.ssh.session import Session

__all__ = ["Address", "KeyPair", "Session", "connect", "generate_key"]
