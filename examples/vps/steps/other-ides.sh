# IDEs that Debian does not have, from their makers: installed where the download can be reached, skipped where not.
# What became of each stands in /var/lib/vps/ides. One that was skipped is tried again by the next run.

SKIPPED=

holds() {
    for ide in $VPS_IDES; do
        have "$ide" || is_skipped "$ide" || return 1
    done
}

apply() {
    for ide in $VPS_IDES; do
        have "$ide" || try "$ide" || SKIPPED="$SKIPPED $ide "
    done
    for ide in $VPS_IDES; do
        is_skipped "$ide" && echo "$ide: skipped, its download is not reachable" || echo "$ide: installed"
    done | put "$VPS_STATE/ides" 0644 root:root
}

have() { command -v "$1" >/dev/null; }

is_skipped() { case $SKIPPED in *" $1 "*) true ;; *) false ;; esac; }

# try IDE: download and install it; false, with the reason told, where that is not possible within seconds
try() {
    url=$(url_of "$1")
    package=/var/cache/apt/archives/vps-$1.deb
    say "trying $url"
    if ! reason=$(curl --silent --show-error --fail --location --connect-timeout 4 \
        --speed-limit 10000 --speed-time 10 --output "$package" "$url" 2>&1); then
        say "skipped $1: $reason"
        rm -f "$package"
        return 1
    fi
    if ! dpkg-deb --field "$package" Package >/dev/null 2>&1; then
        say "skipped $1: what $url sends is no Debian package"
        rm -f "$package"
        return 1
    fi
    add "$package" || fail "$1 was downloaded and cannot be installed"
    rm -f "$package"
}

# Debian packages for amd64. VPS_URL_CODE and VPS_URL_CURSOR lead elsewhere, to a server of your own for example.
url_of() {
    case $1 in
    code) echo "${VPS_URL_CODE:-https://code.visualstudio.com/sha/download?build=stable&os=linux-deb-x64}" ;;
    cursor) echo "${VPS_URL_CURSOR:-https://api2.cursor.sh/updates/download/golden/linux-x64-deb/cursor/latest}" ;;
    *) fail "steps/other-ides.sh knows no IDE $1" ;;
    esac
}
