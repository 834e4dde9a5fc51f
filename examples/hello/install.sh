#!/bin/sh
# Sets up "hello": a user, a configuration file, and a small web service on 127.0.0.1:8080.
# Needs systemd, python3 and curl, and no network. Running it again changes nothing.
set -eu

PORT=8080
PAGE=/srv/hello/index.html
CONFIG=/etc/hello.conf
UNIT=/etc/systemd/system/hello.service
changed=no

say() { printf '==> %s\n' "$*"; }

fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

# put FILE: standard input becomes FILE with mode 0644, unless it is just that already
put() {
    new=$(mktemp)
    cat >"$new"
    if cmp -s "$new" "$1"; then
        say "$1 is as it should be"
    else
        install -D -m 0644 "$new" "$1"
        say "wrote $1"
        changed=yes
    fi
    rm -f "$new"
}

[ "$(id -u)" -eq 0 ] || fail "must be run as root: sudo ./install.sh"
for tool in systemctl python3 curl; do
    command -v "$tool" >/dev/null || fail "$tool is missing"
done

if id developer >/dev/null 2>&1; then
    say "user developer is here"
else
    useradd --create-home --shell /bin/bash developer
    say "made user developer"
fi
if ! id -nG developer | grep -qw sudo; then
    usermod --append --groups sudo developer
    say "developer may use sudo"
fi

put "$CONFIG" <<END
# Settings of the service "hello"
PORT=$PORT
END

put "$PAGE" <<END
<!doctype html>
<title>Hello</title>
<p>Hello from the machine.</p>
END

put "$UNIT" <<END
[Unit]
Description=Hello, a small web service

[Service]
EnvironmentFile=$CONFIG
ExecStart=/usr/bin/env python3 -m http.server --bind 127.0.0.1 --directory /srv/hello \${PORT}
User=developer
Restart=on-failure

[Install]
WantedBy=multi-user.target
END

if [ "$changed" = yes ]; then
    systemctl daemon-reload
    systemctl restart hello.service
    say "started hello.service"
fi
systemctl is-enabled --quiet hello.service || systemctl enable --quiet hello.service
systemctl is-active --quiet hello.service || systemctl start hello.service

say "waiting for http://127.0.0.1:$PORT/"
curl --silent --show-error --fail --output /dev/null \
    --retry 30 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$PORT/" ||
    fail "hello.service does not answer; see: journalctl -u hello.service"
say "done"
