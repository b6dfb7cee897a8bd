"""Celery as a first attempt has it: one text a task, sentence-transformers in a prefork pool."""

from celery_worker import one_text_a_task

if __name__ == "__main__":
    one_text_a_task("naive_tasks", "naive.label", pool="prefork")
