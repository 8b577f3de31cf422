"""A Flyte cluster's part: pods, retries and whole workflows on this machine."""
