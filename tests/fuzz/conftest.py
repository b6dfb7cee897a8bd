"""How long and how reproducibly there is fuzzing: short here and in CI, `make fuzz` for long.

The short form draws the same inputs at every run. The long one prints what reproduces a failure.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "short",
    max_examples=40,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile(
    "long",
    settings.get_profile("short"),
    max_examples=2000,
    derandomize=False,
    print_blob=True,
)
settings.load_profile("short")
