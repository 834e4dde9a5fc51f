# Runs in the new system, as its root: adds what the installer was not told to install, and kvm-e2e's boot menu.
# Argument: none; the packages are in the file beside it.
set -eu
export DEBIAN_FRONTEND=noninteractive
add() { apt-get install --yes --no-install-recommends $(cat /var/tmp/kvm-e2e/packages.list); }
add || { apt-get update && add; }

# The network is cloud-init's and networkd's affair; two managers would fight for the card.
[ ! -e /etc/network/interfaces ] || printf 'auto lo\niface lo inet loopback\n' >/etc/network/interfaces
[ ! -e /etc/systemd/system/multi-user.target.wants/networking.service ] || systemctl disable networking.service
[ ! -x /usr/sbin/update-grub ] || update-grub
