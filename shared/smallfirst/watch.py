"""The Celery application as Flower sees it: `celery -A smallfirst.watch flower`."""

from smallfirst.broker.celery_app import make_app
from smallfirst.settings import Settings, load_settings

app = make_app(load_settings(Settings), role="flower")
