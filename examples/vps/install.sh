#!/bin/sh
# Makes a remote workstation of a Debian 12 or 13 server: a developer with sudo, XFCE over RDP (TLS), a firewall,
# and IDEs. Each step is a file in steps/ with two functions: `holds` looks whether its work is done, `apply` does
# it. A step that is unchanged since it was done, and still holds, is not done again.
#
#   sudo --preserve-env=VPS_PASSWORD ./install.sh
set -eu
cd "$(dirname "$0")"

# --- settings: each can be given in the environment
VPS_USER=${VPS_USER:-developer}
VPS_PASSWORD=${VPS_PASSWORD:-} # for RDP logins; without one the user keeps the password it has, or has none
VPS_LOCALE=${VPS_LOCALE:-en_US.UTF-8}
VPS_STATE=${VPS_STATE:-/var/lib/vps}
VPS_IDES=${VPS_IDES-code cursor} # of other vendors, where their download can be reached
export DEBIAN_FRONTEND=noninteractive

say() { printf '==> %s\n' "$*"; }

fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

# put FILE MODE OWNER:GROUP: standard input becomes FILE, unless it is just that already
put() {
    new=$(mktemp)
    cat >"$new"
    if ! cmp -s "$new" "$1"; then
        install -D -m "$2" -o "${3%:*}" -g "${3#*:}" "$new" "$1"
        say "wrote $1"
    fi
    rm -f "$new"
}

# installed PACKAGE...: are all of them?
installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}\n' "$@" 2>/dev/null | grep -cx installed)" -eq $# ]
}

# is_up UNIT: does it run, now and after the next boot?
is_up() { systemctl is-active --quiet "$1" && systemctl is-enabled --quiet "$1"; }

# apt_get ARGUMENT...: quietly, and after whoever else installs packages, as a server does that was just started
apt_get() { apt-get --quiet=2 -o DPkg::Lock::Timeout=300 "$@"; }

# update: fetch the lists of packages, once in a run; for others who fetch them apt-get does not wait by itself
update() {
    [ -e "$VPS_STATE/lists" ] && return
    tries=60
    until told=$(export LC_ALL=C && apt_get update 2>&1); do
        case $told in *"Could not get lock"*) tries=$((tries - 1)) ;; *) tries=0 ;; esac
        [ $tries -gt 0 ] || fail "the lists of packages cannot be fetched: $told"
        sleep 5
    done
    [ -z "$told" ] || say "$told"
    touch "$VPS_STATE/lists"
}

# mend: install what a run that was killed left half installed; apt-get refuses everything else until then
mend() {
    apt_get check >/dev/null 2>&1 && return
    say "mending packages that were left half installed"
    dpkg --configure -a || true # what needs a package that was not unpacked is mended by the next line
    apt_get install --yes --fix-broken -o Dpkg::Use-Pty=0
}

# add PACKAGE...: install packages by name or file, and nothing that is only recommended
add() {
    update
    mend
    apt_get install --yes --no-install-recommends -o Dpkg::Use-Pty=0 "$@"
}

# get PACKAGE...: install what is missing
get() { installed "$@" || add "$@"; }

# step NAME: do what steps/NAME.sh says, unless its checkpoint says that this was done and it still holds
step() {
    . "./steps/$1.sh"
    checkpoint=$VPS_STATE/done/$1
    version=$(printf '%s %s %s %s' "$VPS_USER" "$VPS_LOCALE" "$VPS_IDES" "$(cat "steps/$1.sh")" | sha256sum)
    if [ "$(cat "$checkpoint" 2>/dev/null)" = "$version" ] && holds; then
        say "$1: done before"
        return
    fi
    say "$1"
    apply
    holds || fail "step $1 is done, and what it should do does not hold"
    printf '%s\n' "$version" >"$checkpoint"
}

[ "$(id -u)" -eq 0 ] || fail "must be run as root: sudo ./install.sh"
command -v apt-get >/dev/null || fail "this is no Debian: there is no apt-get"
[ -d /run/systemd/system ] || fail "systemd does not run here"
mkdir -p "$VPS_STATE/done"
rm -f "$VPS_STATE/lists"

step user
step locale
step packages
step desktop
step rdp
step firewall
step ide
step other-ides
rm -f "$VPS_STATE/lists"
say "done: log in by RDP as $VPS_USER"
