# The user who works here: with a home, bash, sudo, and a password for RDP where one is given.

holds() {
    id -nG "$VPS_USER" 2>/dev/null | grep -qw sudo && has_password
}

apply() {
    getent passwd "$VPS_USER" >/dev/null || useradd --create-home --shell /bin/bash "$VPS_USER"
    usermod --append --groups sudo "$VPS_USER"
    has_password || printf '%s:%s\n' "$VPS_USER" "$VPS_PASSWORD" | chpasswd
}

# Setting the same password again would change /etc/shadow: its salt is another one each time.
has_password() {
    [ -n "$VPS_PASSWORD" ] || return 0
    hash=$(getent shadow "$VPS_USER" | cut -d: -f2)
    PASSWORD=$VPS_PASSWORD HASH=$hash perl -e 'exit(crypt($ENV{PASSWORD}, $ENV{HASH}) ne $ENV{HASH})'
}
