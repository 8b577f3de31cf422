"""What tasks of every SDK share when they are defined: checks, warnings, the pod's image."""
