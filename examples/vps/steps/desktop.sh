# XFCE, and the script that starts it for the user (Xsession(5)), whatever other desktops are there.

PACKAGES="adwaita-icon-theme dbus-x11 fonts-dejavu-core xfce4 xfce4-terminal"

holds() {
    installed $PACKAGES && grep -qx 'exec startxfce4' "$(home)/.xsession" 2>/dev/null
}

apply() {
    get $PACKAGES
    put "$(home)/.xsession" 0644 "$VPS_USER:$VPS_USER" <<-END
	# Read by /etc/X11/Xsession, which xrdp starts for each login.
	exec startxfce4
	END
}

home() { getent passwd "$VPS_USER" | cut -d: -f6; }
