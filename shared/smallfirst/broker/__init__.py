"""Celery, set up for the fleet: its application, its transport and its queues."""
