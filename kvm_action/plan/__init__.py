"""The plan: what to start, what to run in it, and what has to hold. It knows no machine."""
