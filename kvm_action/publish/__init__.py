"""Telling GitHub: the check run, and files on a data branch. The only door to PyGithub; it sees no machine."""
