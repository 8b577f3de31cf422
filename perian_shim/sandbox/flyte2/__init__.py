"""A stand-in for Flyte 2: what its backend does with a pod, and runs of a user's file."""
