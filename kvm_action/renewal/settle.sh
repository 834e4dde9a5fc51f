# Runs as root in a machine that becomes a template, right before it is frozen. Arguments: a nonce, the plan's user.
# Nothing here changes what a plan can test; it holds back what would misbehave in a machine that wakes up later.
set -eu
umask 077
mkdir -p /run/kvm-e2e
# Lives in the memory only: whoever can tell it has woken from this very template.
printf '%s' "$1" >/run/kvm-e2e/nonce

if command -v systemctl >/dev/null; then
    systemctl is-system-running --wait >/dev/null 2>&1 || true
    # The clock will jump. Timers and cron would do at once all that lies in between; they start again afterwards.
    systemctl list-units --type=timer --state=active --no-legend --plain | cut -d' ' -f1 >/run/kvm-e2e/held-back
    for unit in cron.service crond.service anacron.service atd.service; do
        if systemctl is-active --quiet "$unit"; then echo "$unit" >>/run/kvm-e2e/held-back; fi
    done
    xargs -r systemctl stop </run/kvm-e2e/held-back
    # The user's first login need not wait for its service manager.
    systemctl start "user@$(id -u "$2").service" 2>/dev/null || true
fi

# The network card comes later, under another address. DHCP must tell machines apart by it, since the identifier
# that systemd-networkd takes otherwise is made of the machine id, and is remembered.
if systemctl is-active --quiet systemd-networkd 2>/dev/null; then
    mkdir -p /run/systemd/network
    chmod 755 /run/systemd /run/systemd/network
    printf '[Match]\nType=ether\n\n[Network]\nDHCP=ipv4\n\n[DHCPv4]\nClientIdentifier=mac\n' \
        >/run/systemd/network/05-kvm-e2e.network
    chmod 644 /run/systemd/network/05-kvm-e2e.network
    networkctl reload
fi

# The driver of the card to come is loaded now, not while somebody waits.
modprobe -q virtio_net || true

# What the renewal needs; its code is then in memory, too.
perl -e 'exit' || { echo 'the guest has no perl' >&2; exit 1; }
rm -f /var/lib/systemd/random-seed
sync
echo "machine_id $(cat /etc/machine-id)"
echo "boot_id $(cat /proc/sys/kernel/random/boot_id)"
