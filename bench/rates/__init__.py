"""How much of a shaped link clients fill, second by second: see bench/README.md."""
