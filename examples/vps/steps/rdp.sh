# xrdp with TLS only, and a certificate of this machine's own.

PACKAGES="openssl xorgxrdp xrdp"
TLS=/etc/xrdp/tls
DAYS=825 # as long as browsers and clients accept one

holds() {
    installed $PACKAGES && is_configured && has_certificate && is_up xrdp && is_up xrdp-sesman
}

apply() {
    get $PACKAGES
    has_certificate || make_certificate
    sed -i -e 's|^security_layer=.*|security_layer=tls|' \
        -e "s|^certificate=.*|certificate=$TLS/cert.pem|" \
        -e "s|^key_file=.*|key_file=$TLS/key.pem|" /etc/xrdp/xrdp.ini
    # xrdp runs as a user who may not make this file, and does not start without; images are often made without logs.
    [ -e /var/log/xrdp.log ] || install -o xrdp -g adm -m 0640 /dev/null /var/log/xrdp.log
    systemctl enable --quiet xrdp xrdp-sesman
    systemctl restart xrdp-sesman xrdp
}

is_configured() {
    for line in security_layer=tls "certificate=$TLS/cert.pem" "key_file=$TLS/key.pem"; do
        grep -qx "$line" /etc/xrdp/xrdp.ini || return 1
    done
}

# Is there a certificate that is still good, and its key, where the user who xrdp runs as can read it?
has_certificate() {
    openssl x509 -in $TLS/cert.pem -noout -checkend 0 >/dev/null 2>&1 &&
        [ "$(runuser -u xrdp -- openssl pkey -in $TLS/key.pem -pubout 2>/dev/null)" = \
            "$(openssl x509 -in $TLS/cert.pem -noout -pubkey)" ]
}

# Signed by itself: clients ask once whether to trust it. Only xrdp reads the key. Both are made aside, so that
# what is in place is always whole: a run that is killed before the end leaves nothing that the next one would take.
make_certificate() {
    install -d -m 0755 $TLS
    install -m 0640 -o root -g xrdp /dev/null $TLS/new-key.pem
    install -m 0644 /dev/null $TLS/new-cert.pem
    openssl req -x509 -newkey rsa:2048 -noenc -days $DAYS -subj "/CN=$(hostname)" \
        -keyout $TLS/new-key.pem -out $TLS/new-cert.pem 2>/dev/null
    mv $TLS/new-key.pem $TLS/key.pem
    mv $TLS/new-cert.pem $TLS/cert.pem
    say "made a certificate for $(hostname), good for $DAYS days"
}
