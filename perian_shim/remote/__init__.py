"""Jobs, prices and costs at Perian, for scripts and notebooks."""
