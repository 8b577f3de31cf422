"""What an older flytekit lacks: tests of it are skipped there."""

import flytekit
import pytest

needs_cache = pytest.mark.skipif(
    not hasattr(flytekit, "Cache"), reason="flytekit has Cache from 1.15 on"
)
