"""The Debian installer: where its kernel comes from, what it is told, what it says. Starts no machine."""
