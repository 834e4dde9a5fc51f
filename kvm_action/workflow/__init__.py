"""GitHub Actions as a border: its files, its commands in a log, and what it says of the job. It knows no run."""
