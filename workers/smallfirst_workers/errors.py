"""What can go wrong in a worker that is somebody's to mend.

```
WorkerError
├── ModelError            a model cannot be loaded or served: the operator's to mend, never retried
│   └── ConversionError   one runtime cannot take the model; another one may
├── ModelMissing          the catalogue has moved a model elsewhere: the router's to place again
└── TaskError             a task does not fit its model or its examples: the catalogue's to mend
```

An error carries fields; its sentence is made when somebody reads it. None quotes a job's text.
"""


class WorkerError(Exception):
    """Root of the errors that workers raise."""


class ModelError(WorkerError):
    """Raised when a model cannot be loaded or served. Trying again does not help."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(model, reason)
        self.model = model
        self.reason = reason

    def __str__(self) -> str:
        return f"models.{self.model} {self.reason}"


class ConversionError(ModelError):
    """Raised when a runtime cannot take a model, or answers differently from the reference."""


class TaskError(WorkerError):
    """Raised when a task cannot be served by its model as the catalogue declares it."""

    def __init__(self, task: str, reason: str) -> None:
        super().__init__(task, reason)
        self.task = task
        self.reason = reason

    def __str__(self) -> str:
        return f"tasks.{self.task} {self.reason}"


class ModelMissing(WorkerError):
    """Raised when a batch asks for a model that this worker's pool does not serve (any more)."""

    def __init__(self, model: str, pool: str) -> None:
        super().__init__(model, pool)
        self.model = model
        self.pool = pool

    def __str__(self) -> str:
        return f"models.{self.model} is not on the pool {self.pool}"
