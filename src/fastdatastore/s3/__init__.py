"""S3: the client that engineers use."""
