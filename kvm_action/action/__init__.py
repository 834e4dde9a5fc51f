"""What `action.yml` calls: GitHub's environment becomes a plan and options, and the run is told to GitHub."""
