# XFCE, and the script that starts it for the user (Xsession(5)), whatever other desktops are there.

PACKAGES="adwaita-icon-theme dbus-x11 fonts-dejavu-core xfce4 xfce4-terminal"

holds() {
    installed $PACKAGES && [ -s "$(home)/.xsession" ]
}

apply() {
    get $PACKAGES
    put "$(home)/.xsession" 0644 "$VPS_USER:$VPS_USER" <<-END
	# Read by /etc/X11/Xsession, which xrdp starts for each login.
	exec startxfce4
	END
}

home() { getent passwd "$VPS_USER" | cut -d: -f6; }
