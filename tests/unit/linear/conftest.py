"""A small task, and the linear model of its examples."""

import pytest
from tests.support.mail_task import task_of

from smallfirst.catalogue import Task
from smallfirst.linear.fitting import fitted
from smallfirst.linear.model import LinearModel


@pytest.fixture(scope="session")
def task() -> Task:
    """One label a mail."""
    return task_of()


@pytest.fixture(scope="session")
def model(task: Task) -> LinearModel:
    """What its examples make."""
    return fitted(task).model
