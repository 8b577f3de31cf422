"""The Perian-compatible API server and its jobs on disk."""
