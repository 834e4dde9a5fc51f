# Runs in the new root file system, as its root, after all packages are there. Argument: none.
# Settles what starts, then takes away what a first boot must make for itself.
set -eu
echo 'I: settling what starts at boot...' >&2

# What runs from the first second, and what would only cost a short-lived machine time or surprise a test.
systemctl enable systemd-networkd.service systemd-resolved.service kvm-e2e-grow.service serial-getty@ttyS0.service
systemctl mask systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer \
    e2scrub_all.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer logrotate.timer man-db.timer

# Where cloud-init does all stages in one process by itself, ours is not needed.
[ ! -e /lib/systemd/system/cloud-init-main.service ] || rm -r /etc/systemd/system/cloud-init-local.service.d

if [ -n "${FILE_SYSTEM:-}" ]; then # else Debian's installer has settled these
    printf 'LANG=C.UTF-8\n' >/etc/default/locale
    printf 'UUID=%s / ext4 rw,discard,errors=remount-ro 0 0\n' "$FILE_SYSTEM" >/etc/fstab
    [ "$FIRMWARE" != uefi ] || printf 'UUID=%s-%s /boot/efi vfat umask=0077,nofail 0 0\n' \
        "${ESP_SERIAL%????}" "${ESP_SERIAL#????}" >>/etc/fstab
    printf 'debian\n' >/etc/hostname
    printf '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n' >/etc/hosts
fi
ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf

dpkg-query --show --showformat '${Package}\t${Version}\n' >/var/tmp/kvm-e2e/packages

# While packages are installed here, mmdebstrap lets no service start; in the machine, those of a new package must.
rm -f /usr/sbin/policy-rc.d
[ ! -e /sbin/start-stop-daemon.REAL ] || mv /sbin/start-stop-daemon.REAL /sbin/start-stop-daemon

# The seal: identity, logs and caches are the first boot's own.
rm -rf /var/tmp/kvm-e2e/user
rm -f /etc/ssh/ssh_host_* /var/lib/systemd/random-seed /var/lib/dbus/machine-id /etc/apt/apt.conf.d/00mmdebstrap
: >/etc/machine-id
apt-get clean
find /var/lib/apt/lists -mindepth 1 -delete
find /var/log -type f -exec truncate --size 0 {} +  # not removed: a daemon may not be able to make its own anew
rm -rf /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old /var/lib/dpkg/*-old
touch /etc/.updated /var/.updated
