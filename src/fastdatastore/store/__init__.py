"""The artifact store: Python objects kept by the digest of what they are. Its format is docs/format.md."""
