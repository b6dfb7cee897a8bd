"""The router's errors, one root, each with fields instead of a formatted sentence.

    RouterError
    ├── RuleError       a rule of the catalogue cannot be used
    └── StillTraining   a linear model of the catalogue is being trained: a little later it is there

A job's text never stands in one of them.
"""


class RouterError(Exception):
    """Root of everything the router raises on purpose."""


class RuleError(RouterError):
    """Raised when a rule of the catalogue cannot be used: its author mends it, a retry does not.

    Attributes:
        label: The label of the wrong pattern, or the recognizer's name; `rule` for the whole rule.
        reason: What is wrong with it, in RE2's words where RE2 said so.
        task: Whose rule it is; empty while that is not known.
    """

    def __init__(self, label: str, reason: str, task: str = "") -> None:
        super().__init__(label, reason, task)
        self.label = label
        self.reason = reason
        self.task = task

    def __str__(self) -> str:
        whose = f"tasks.{self.task}: " if self.task else ""
        return f"{whose}{self.label}: {self.reason}"


class StillTraining(RouterError):
    """Raised when linear models that a catalogue asks are not there yet, and are seen to."""

    def __init__(self, num_models: int) -> None:
        super().__init__(num_models)
        self.num_models = num_models

    def __str__(self) -> str:
        return f"{self.num_models} of its linear models are being trained from examples"
