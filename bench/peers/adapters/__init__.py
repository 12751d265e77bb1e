"""One file per client: how it downloads and uploads. Each runs in its client's own virtual environment."""
