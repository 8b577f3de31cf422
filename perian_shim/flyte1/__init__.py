"""Flyte 1: tasks as flytekit knows them, and what registering them takes."""
