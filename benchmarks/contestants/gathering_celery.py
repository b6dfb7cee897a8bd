"""celery-batches: one text a message, gathered in the worker, torch in bfloat16."""

from celery_worker import one_text_a_task

if __name__ == "__main__":
    # Its results do not outlive the fork of a prefork pool.
    one_text_a_task("batched_tasks", "batched.label", pool="solo")
