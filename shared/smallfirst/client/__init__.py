"""The producer's client: submit jobs, wait for results, with an event loop or without."""

from smallfirst.client.clients import AsyncClient, Client

__all__ = ["AsyncClient", "Client"]
