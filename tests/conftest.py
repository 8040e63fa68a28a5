"""What every test shares."""

from __future__ import annotations

import os

from hypothesis import settings

# Speed lives in benchmarks/: no test fails because a machine was busy.
settings.register_profile("default", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
