"""What Redis's refusals mean: those that pass by themselves, and their words without a command."""

from redis.exceptions import MasterDownError, OutOfMemoryError, ReadOnlyError, RedisError

#: What stands before the words of an error in a pipeline: the whole command, and so a job's text.
_OF_PIPELINE = " of pipeline caused error: "


def is_passing(error: RedisError) -> bool:
    """Whether Redis refuses everybody's writes for now: it is full, or it is not the master."""
    if isinstance(error, OutOfMemoryError | ReadOnlyError | MasterDownError):
        return True
    # A disk that is full has no class of its own.
    return words_of(error).startswith("MISCONF")


def words_of(error: RedisError | OSError) -> str:
    """What Redis said, without the command of a pipeline that the driver puts before it."""
    words = str(error).rpartition(_OF_PIPELINE)[2]
    if isinstance(error, OutOfMemoryError):
        return "its memory is full (OOM)"
    return words
