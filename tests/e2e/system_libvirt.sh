#!/usr/bin/env bash
# The first process of namespaces of its own (mounts, network, processes): starts the system's libvirt in them,
# says "ready", and waits. When it ends, or its input does, the kernel ends everything in there.
# Usage: system_libvirt.sh HOME IMAGES
set -euo pipefail
home=$1 images=$2

# A copy that is ours alone takes the place of a folder of the host.
copied() {
    local copy
    copy=$(mktemp -d /run/copy.XXXX)
    cp -a "$1/." "$copy"
    mount --bind "$copy" "$1"
}

ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p -m 1777 /run/lock
for folder in /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do copied "$folder"; done
rm -rf /etc/libvirt/qemu/networks /var/lib/libvirt/dnsmasq
mkdir -p /var/log/libvirt/qemu && rm -f /var/log/libvirt/qemu/*.log
# Members of the group libvirt may use it, as on any host; there that is the rule of a polkit that runs.
printf 'unix_sock_group = "libvirt"\nunix_sock_rw_perms = "0770"\nauth_unix_rw = "none"\n' >>/etc/libvirt/libvirtd.conf
! mountpoint -q /sys/fs/cgroup || umount -R /sys/fs/cgroup # or libvirt would make groups in the host's
if [[ -c /dev/kvm ]]; then
    # As udev makes it. libvirt probes QEMU anew for each call when QEMU's user cannot open it.
    cp -a /dev/kvm /run/kvm
    chown root:kvm /run/kvm
    chmod 660 /run/kvm
    mount --bind /run/kvm /dev/kvm
fi
mkdir "$home/images"
mount --bind "$images" "$home/images" # where QEMU's user may enter, wherever the store is

virtlogd --daemon
libvirtd --daemon
until virsh -c qemu:///system version >/run/version 2>&1; do
    ((++tries < 100)) || { cat /run/version; exit 1; }
    sleep 0.1
done
echo ready
read -r _ || true
