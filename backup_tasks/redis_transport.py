"""kombu's Redis transport, without one way to end a worker (C20).

When Redis goes away while a worker holds messages (it always does while a step runs: they are
acknowledged late), Celery 5.7 takes the connection apart, and later still wants to give a message
back or to acknowledge it over it. kombu's channel then looks for the address in what is None by
now, and the AttributeError ends the worker. Here it is the connection error that it is, which every
caller expects: Redis has the message still, and delivers it again.

`backup_tasks.celery_defaults` makes it what `redis://` and `rediss://` mean.
"""

from typing import Any

from kombu.transport import redis
from redis.exceptions import ConnectionError as RedisConnectionError


class Channel(redis.Channel):
    """A channel whose use after its connection's end is a connection error."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if getattr(self.connection, "client", None) is None:
            raise RedisConnectionError("The connection was closed.")
        # Its types leave out what is not public.
        params: dict[str, Any] = super()._connparams(asynchronous=asynchronous)  # type: ignore[misc]
        return params


class Transport(redis.Transport):
    """What `redis://` and `rediss://` mean."""

    Channel = Channel
