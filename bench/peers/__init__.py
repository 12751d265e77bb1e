"""fastdatastore beside named, pinned rivals on the same work: see bench/README.md."""
