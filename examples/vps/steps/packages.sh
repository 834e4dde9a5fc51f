# What everybody expects on a server.

PACKAGES="ca-certificates curl git htop less nano openssl rsync unzip wget"

holds() { installed $PACKAGES; }

apply() { get $PACKAGES; }
