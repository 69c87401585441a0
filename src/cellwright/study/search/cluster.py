"""Workers on a Ray cluster: an actor each, which runs what a process runs here."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any

from cellwright.study.options import OptionError
from cellwright.study.runner import GoneError, Worker
from cellwright.study.tasks.task import Task
from cellwright.study.worker import Message, Order, work

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone

try:
    import ray
    from ray.exceptions import RayError
except ImportError:
    raise OptionError(
        "--ray needs Ray, which is not installed: pip install 'cellwright[ray]'"
    ) from None

__all__ = ["Cluster"]


class Cluster:
    """A crew of actors, as many as the cluster has cores."""

    def __init__(self, address: str, task: Task, size: int | None) -> None:
        """`size` is as many as the cluster has cores where it is None.

        Raises OptionError where there is no cluster at that address.
        """
        self._owns = not ray.is_initialized()
        if self._owns:
            try:
                ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
            except (ConnectionError, ValueError, RuntimeError) as e:
                raise OptionError(
                    f"--ray {address}: there is no Ray cluster ({str(e).splitlines()[0]}). Start "
                    "one with `ray start --head`, and name its address, or auto on a machine of it"
                ) from None
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        self.size = size or max(1, int(resources.get("CPU", 1)))
        self._task = ray.put(task)

    def start(self) -> Worker:
        """See `runner.Crew`."""
        return _Remote(self._task)

    def ready(self, workers: Sequence[Worker], seconds: float) -> Sequence[Worker]:
        """See `runner.Crew`."""
        by_message = {w.message: w for w in workers if isinstance(w, _Remote)}
        if not by_message:
            time.sleep(seconds)
            return []
        done, _ = ray.wait([*by_message], num_returns=len(by_message), timeout=0)
        if not done:
            done, _ = ray.wait([*by_message], num_returns=1, timeout=seconds)
        return [by_message[message] for message in done]

    def close(self) -> None:
        """See `runner.Crew`."""
        if self._owns:
            ray.shutdown()


class _Remote:
    """One of them: `message` is what it will say next."""

    def __init__(self, task: Any) -> None:
        self.actor = _ACTOR.options(max_concurrency=4).remote(task)
        self.message = self.actor.next.remote()

    def send(self, order: Order) -> None:
        """See `runner.Worker`."""
        self.actor.tell.remote(order)

    def receive(self) -> Message:
        """See `runner.Worker`."""
        try:
            message: Message = ray.get(self.message)
        except RayError as e:
            how = str(e).strip().splitlines()[0]
            raise GoneError(how, "Can the machines of the cluster import cellwright?") from None
        self.message = self.actor.next.remote()
        return message

    def end(self) -> None:
        """See `runner.Worker`."""
        ray.kill(self.actor)


class _Actor:
    """What runs on the cluster: a line to `work`, which has a thread of its own."""

    def __init__(self, task: Task) -> None:
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._messages: SimpleQueue[Message] = SimpleQueue()
        Thread(target=work, args=(self, task), daemon=True).start()

    def send(self, message: Message) -> None:
        """See `worker.Line`."""
        self._messages.put(message)

    def recv(self) -> Order:
        """See `worker.Line`."""
        return self._orders.get()

    def tell(self, order: Order) -> None:
        """What it is sent."""
        self._orders.put(order)

    def next(self) -> Message:
        """What it says next."""
        return self._messages.get()


# Half a core, as half of them may be waiting to be told whether they go on: see `runner.run`.
_ACTOR: Any = ray.remote(num_cpus=0.5, scheduling_strategy="SPREAD")(_Actor)
