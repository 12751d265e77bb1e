"""Collection of garbage that loses nothing, whoever else writes: see docs/guarantees.md."""
