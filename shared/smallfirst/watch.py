"""The Celery application as Flower sees it: `celery -A smallfirst.watch flower`."""

from smallfirst.broker import make_app
from smallfirst.settings import Settings, load_settings

app = make_app(load_settings(Settings), role="flower")
