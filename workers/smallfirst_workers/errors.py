"""What can go wrong in a worker that is somebody's to mend.

```
WorkerError
├── ModelError            a model cannot be loaded or served: the operator's to mend
│   └── ConversionError   one runtime cannot take the model; another one may
├── ModelMissing          the catalogue has moved a model elsewhere: to be placed again
├── EndpointDown          a remote model does not answer, and the worker cannot wait for it
├── ModelBroken          a model fails on every text: the process ends, its jobs go to another
├── EngineDead            vLLM has died: the process ends, its jobs go to another
├── PoolMissing           the worker was told of a pool that is not there: its operator's
├── TaskError             a task does not fit its model or examples: the catalogue's
└── TrainingError         a model cannot be trained as asked: its trainer's
    └── TooLongError      it would take longer than it may
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


class EndpointDown(WorkerError):
    """Raised when a remote model does not answer and is not to be waited for any longer.

    Its jobs were not to blame: they go back to the queue, and their start is taken back.
    """

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model

    def __str__(self) -> str:
        return f"models.{self.model}: its endpoint does not answer"


class EngineDead(WorkerError):
    """Raised when vLLM's own process has died, at work or while it started. The worker ends.

    Its jobs' start counts, since one of them may be what kills the engine.
    """

    def __init__(self, model: str, reason: str = "the engine has died") -> None:
        super().__init__(model, reason)
        self.model = model
        self.reason = reason

    def __str__(self) -> str:
        return f"models.{self.model}: {self.reason}"


class ModelBroken(WorkerError):
    """Raised when a loaded model fails on a plain text too. Its jobs were not to blame."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model

    def __str__(self) -> str:
        return f"models.{self.model}: fails on every text"


class PoolMissing(WorkerError):
    """Raised when a worker is told to serve a pool that the catalogue does not have."""

    def __init__(self, pool: str) -> None:
        super().__init__(pool)
        self.pool = pool

    def __str__(self) -> str:
        return f"the catalogue has no pool {self.pool!r}; see SMALLFIRST_POOL"


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


class TrainingError(WorkerError):
    """Raised when a model cannot be trained as asked; nothing has been written."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class TooLongError(TrainingError):
    """Raised when a training would take longer than it may.

    Attributes:
        needed: Seconds that its steps would take.
        allowed: Seconds that they may.
    """

    def __init__(self, needed: float, allowed: float) -> None:
        super().__init__(f"would take {needed:.0f} s, and has {max(0, allowed):.0f} s")
        self.needed = needed
        self.allowed = allowed
