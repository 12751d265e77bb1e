"""Benchmarks of the repository; what users run is `fds bench`."""
