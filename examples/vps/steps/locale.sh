# The language of logins.

holds() {
    grep -qx "LANG=$VPS_LOCALE" /etc/default/locale && locale -a | grep -qix "$(echo "$VPS_LOCALE" | tr -d -)"
}

apply() {
    get locales
    echo "$VPS_LOCALE ${VPS_LOCALE#*.}" | put /etc/locale.gen 0644 root:root
    locale-gen
    echo "LANG=$VPS_LOCALE" | put /etc/default/locale 0644 root:root
}
