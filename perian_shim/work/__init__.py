"""What a job is given and what it leaves: the kinds of work, and one run of a task."""
