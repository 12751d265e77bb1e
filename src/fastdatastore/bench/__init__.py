"""The benchmark: workloads run through the engine, every byte verified, measured in Gbit/s and core-seconds per GB."""
