"""The Celery application as Flower sees it: `celery -A smallfirst.watch flower`.

Flower asks workers by remote control which queues they read, and ours do not listen to that. So
the application says which queues there are; they are looked at and never read.
"""

from smallfirst.broker.celery_app import make_app
from smallfirst.broker.queues import queue_of
from smallfirst.settings import FlowerSettings, load_settings

settings = load_settings(FlowerSettings)
app = make_app(settings, role="flower")
if settings.pools:
    # Flower shows the default queue beside them, so that has to be one of them.
    app.conf.task_queues = [queue_of(pool) for pool in settings.pools]
    app.conf.task_default_queue = settings.pools[0]
