"""How objects get into a store: serialized, cut, hashed, looked for, compressed and sent, all at the same time."""
