"""``python -m perian_shim.cli``."""

import sys

from perian_shim.cli import main

sys.exit(main())
