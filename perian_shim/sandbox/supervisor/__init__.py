"""What runs one job: a detached process, and how it isolates the job (standard library only)."""
