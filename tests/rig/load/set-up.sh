#!/usr/bin/env bash
# Makes a runner of a fresh Debian: the page's own commands (page/), and around them only what the page takes for
# granted (AppArmor, which Debian's installer puts on every machine) and what a rig without a registry needs.
set -euo pipefail
rig=$(dirname "$(readlink -f "$0")")
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

say() { printf '==> %s\n' "$*"; }

say "AppArmor, as Debian's installer would have put it here"
apt-get update --quiet=2
apt-get install --quiet=2 --yes --no-install-recommends apparmor >/dev/null

for step in "$rig"/page/*; do
    say "the page's commands, ${step##*/}:"
    sed 's/^/    /' "$step"
    case $step in
    *.bash | *.text) bash -eo pipefail "$step" ;;
    *.sh) "$rig/as-runner" env KVM_E2E_SOURCE="$rig/checkout" \
        PIP_NO_INDEX=1 PIP_FIND_LINKS="$rig/wheels" bash -eo pipefail "$step" ;;
    esac
done

say "the base image"
install --directory --owner github-runner --group github-runner /var/lib/rig
read -r name sha256 <"$rig/image"
"$rig/as-runner" /home/github-runner/kvm-e2e/bin/kvm-e2e image import "$rig/image.qcow2" \
    --name "$name" --os "$name" --sha256 "$sha256"
