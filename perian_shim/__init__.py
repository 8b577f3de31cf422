"""Run Flyte tasks on the Perian GPU platform, with nothing deployed in the Flyte backend."""
