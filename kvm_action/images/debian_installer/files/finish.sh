#!/bin/sh
# Runs in the installer after its own last steps, while the new system is still mounted at /target.
# Makes of it what kvm-e2e expects of an image, then says so: its last word is what the build waits for.
say() { logger -t kvm-e2e "$1"; }

complete() {
    [ -x /target/usr/bin/apt-get ] || { say "failed: there is no Debian at /target"; return 1; }
    say "completing"
    cp -r /kvm-e2e/tree/. /target/ && mkdir -p /target/var/tmp/kvm-e2e && cp /kvm-e2e/*.sh /kvm-e2e/packages.list /target/var/tmp/kvm-e2e/
    for script in complete customize; do
        in-target sh "/var/tmp/kvm-e2e/$script.sh" || { say "failed: $script.sh in the new system"; return 1; }
    done
}

# Until the disk is full; zeros do not make its file grow, so only the log shows that this goes on.
zero() {
    while dd if=/dev/zero bs=1M count=256 >>/target/zero 2>/dev/null; do say "zeroed 256 MiB more"; done
    rm -f /target/zero
    sync
}

if complete; then
    logger -t kvm-e2e-package </target/var/tmp/kvm-e2e/packages
    rm -rf /target/var/tmp/kvm-e2e /target/var/log/installer
    sync
    say "zeroing free space"
    fstrim /target || zero
    say "sealed"
fi
sleep 3 # until the log has gone out on the serial port
