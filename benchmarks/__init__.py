"""Start-up, latency, calls and memory of perian-shim beside its peers: ``python -m benchmarks``."""
