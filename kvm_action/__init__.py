"""kvm-e2e: prove that a provisioning script really works, on a real virtual machine."""

__version__ = "0.1.0"
