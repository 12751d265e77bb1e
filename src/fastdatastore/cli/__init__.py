"""The command line, `fds`: one file per verb family. It parses and prints; the work is done below it."""
