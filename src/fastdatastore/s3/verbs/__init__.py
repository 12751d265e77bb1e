"""What S3 and AsyncS3 do, without doing it: each verb plans its jobs, and makes its result when they have run."""
