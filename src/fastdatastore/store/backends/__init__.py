"""What a store is kept in: a directory, or a prefix of a bucket, behind one interface."""
