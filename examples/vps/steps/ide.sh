# Geany, an IDE of Debian's own.

holds() { installed geany; }

apply() { get geany; }
