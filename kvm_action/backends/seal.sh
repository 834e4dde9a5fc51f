# Runs in a guest, as its root: takes away what makes this machine itself, so that its disk can begin others.
# Wants USER_NAME and USER_KEY: whom the run logged in as, and the public key that it put there.
# Prints the packages (name, tab, version), then the line that says it came to its end.
set -eu

dpkg-query --show --showformat '${Package}\t${Version}\n' 2>/dev/null || true
exec 3>&1 >/dev/null

# cloud-init must take the next machine for a new one, and its users must not keep this run's key or rights.
# By hand, since `cloud-init clean` takes seconds to start where the processor is emulated; with its hooks at the end.
rm -f /var/log/cloud-init.log /var/log/cloud-init-output.log
find /var/lib/cloud -mindepth 1 -delete 2>/dev/null || true
for hook in /etc/cloud/clean.d/*; do
    if [ -f "$hook" ] && [ -x "$hook" ]; then "$hook" || true; fi
done
rm -f /etc/sudoers.d/90-cloud-init-users /etc/ssh/sshd_config.d/50-cloud-init.conf \
    /etc/netplan/50-cloud-init.yaml /etc/network/interfaces.d/50-cloud-init* /etc/systemd/network/10-cloud-init-*
getent passwd | cut -d: -f6 | sort -u | while read -r home; do
    [ -d "$home" ] || continue
    rm -f "$home/.bash_history" "$home/.zsh_history" "$home/.python_history" "$home/.lesshst" "$home/.viminfo" \
        "$home/.wget-hsts" "$home/.ssh/known_hosts" "$home/.kvm-e2e-provision"
    keys=$home/.ssh/authorized_keys
    if [ -n "$USER_KEY" ] && [ -f "$keys" ]; then
        left=$(grep -vF "$USER_KEY" "$keys" || true)
        if [ -n "$left" ]; then printf '%s\n' "$left" >"$keys"; else rm -f "$keys"; fi
    fi
done
if [ -n "$USER_NAME" ] && getent passwd "$USER_NAME"; then passwd -l "$USER_NAME" || true; fi

# Identity: the next boot makes its own.
old=$(cat /etc/hostname)
rm -f /etc/ssh/ssh_host_* /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/dbus/machine-id
: >/etc/machine-id
echo localhost >/etc/hostname
case $old in e2e-*) sed -i "/[[:space:]]$old\([[:space:]]\|\$\)/d" /etc/hosts ;; esac
rm -f /var/lib/dhcp/*.leases /var/lib/NetworkManager/*.lease /var/tmp/.kvm-e2e-*

# Logs: what was rotated goes, what is open becomes empty.
find /var/log -type f \( -name '*.gz' -o -name '*.xz' -o -name '*.[0-9]' -o -name '*.old' -o -path '*/journal/*' \) -delete
find /var/log -type f -exec truncate --size 0 {} +
if command -v apt-get; then apt-get clean || true; fi

sync
fstrim / 2>/dev/null || true
echo 'kvm-e2e: sealed' >&3
