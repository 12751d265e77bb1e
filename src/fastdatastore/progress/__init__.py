"""How far a transfer is: counted from its jobs, told to a callback, shown on a terminal or in a notebook."""
