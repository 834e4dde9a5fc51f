"""The rig: a Debian machine set up as a runner, in which kvm-e2e is run on real KVM. `make test-kvm`."""
