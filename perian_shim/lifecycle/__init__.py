"""One live job for one piece of work: from looking for it to its end."""
