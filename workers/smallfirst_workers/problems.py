"""Why an engine has no answer to a question: the codes, and the problems of every engine."""

from typing import Final

from smallfirst.jobs import Problem

#: The model raised on this question alone.
MODEL_ERROR: Final = "model_error"
#: What the model gave, asked twice, was no answer. That is a model which does not know, and not one
#: that failed: the next step is asked, or nobody is.
INVALID: Final = "invalid_answer"
#: The task does not fit the model, whatever its text is.
REFUSED: Final = "task_refused"

EXPIRED: Final = Problem(code="expired", message="The deadline passed while the model was at it.")
NOT_LOADED: Final = Problem(code="task_not_loaded", message="The model has not loaded this task.")
TOO_LONG: Final = Problem(
    code="too_long_for_model", message="The text is longer than the model's context."
)
NOTHING_TO_READ: Final = Problem(
    code="nothing_to_read", message="There is nothing in the text that the model can read."
)
