"""The history: every result that was kept, append-only, and what it says of the newest. Never sees a machine."""
