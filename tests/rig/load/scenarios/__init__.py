"""What the runner's user does with kvm-e2e in the rig. Standard library only: Debian's own Python runs it."""
