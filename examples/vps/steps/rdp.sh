# xrdp with TLS only, and a certificate of this machine's own.

PACKAGES="openssl xorgxrdp xrdp"
TLS=/etc/xrdp/tls
DAYS=825 # as long as browsers and clients accept one

holds() {
    installed $PACKAGES &&
        grep -qx security_layer=tls /etc/xrdp/xrdp.ini &&
        openssl x509 -in $TLS/cert.pem -noout -checkend 0 >/dev/null 2>&1 &&
        systemctl is-active --quiet xrdp xrdp-sesman
}

apply() {
    get $PACKAGES
    openssl x509 -in $TLS/cert.pem -noout -checkend 0 >/dev/null 2>&1 || make_certificate
    sed -i -e 's|^security_layer=.*|security_layer=tls|' \
        -e "s|^certificate=.*|certificate=$TLS/cert.pem|" \
        -e "s|^key_file=.*|key_file=$TLS/key.pem|" /etc/xrdp/xrdp.ini
    # xrdp runs as a user who may not make this file, and does not start without; images are often made without logs.
    [ -e /var/log/xrdp.log ] || install -o xrdp -g adm -m 0640 /dev/null /var/log/xrdp.log
    systemctl enable --quiet xrdp xrdp-sesman
    systemctl restart xrdp-sesman xrdp
}

# Signed by itself: clients ask once whether to trust it. Only xrdp, which runs as a user of its own, reads the key.
make_certificate() {
    install -d -m 0755 $TLS
    (
        umask 077
        openssl req -x509 -newkey rsa:2048 -noenc -days $DAYS -subj "/CN=$(hostname)" \
            -keyout $TLS/key.pem -out $TLS/cert.pem 2>/dev/null
    )
    chown root:xrdp $TLS/key.pem
    chmod 0640 $TLS/key.pem
    chmod 0644 $TLS/cert.pem
    say "made a certificate for $(hostname), good for $DAYS days"
}
