"""The run-time composition root: from the container's arguments to outputs or an error."""
