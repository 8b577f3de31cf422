"""The object store: an S3 in a process of its own."""
