"""A simulation of events: a clock, queues, and the cores of a machine that tasks share."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import count
from typing import Any

Resume = Callable[[], None]
Wait = Callable[[Resume], None]
Process = Generator[Wait, None, Any]


class Simulation:
    """A clock, and processes: generators that yield what they wait for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Resume]] = []
        self._order = count()

    def after(self, delay: float, action: Resume) -> None:
        heapq.heappush(self._events, (self.now + delay, next(self._order), action))

    def sleep(self, seconds: float) -> Wait:
        return lambda resume: self.after(seconds, resume)

    def start(self, process: Process) -> None:
        wait = next(process, None)
        if wait:
            wait(lambda: self.start(process))

    def run(self, until: float = math.inf) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, action = heapq.heappop(self._events)
            action()
        if until < math.inf:
            self.now = until


class Queue:
    """First come, first served, by so many servers.

    Attributes:
        busy_s, waiting_s: the integrals of the numbers of those served and waiting.
    """

    def __init__(self, simulation: Simulation, servers: int = 1, most: float = math.inf) -> None:
        self.busy_s = self.waiting_s = 0.0
        self._simulation = simulation
        self._free, self._servers, self._most = servers, servers, most
        self._waiting: deque[Resume] = deque()
        self._since = 0.0

    @property
    def is_full(self) -> bool:
        return not self._free and len(self._waiting) >= self._most

    def enter(self) -> Wait:
        def wait(resume: Resume) -> None:
            self._count()
            if self._free:
                self._free -= 1
                self._simulation.after(0, resume)
            else:
                self._waiting.append(resume)

        return wait

    def leave(self) -> None:
        self._count()
        if self._waiting:
            self._simulation.after(0, self._waiting.popleft())
        else:
            self._free += 1

    def _count(self) -> None:
        elapsed = self._simulation.now - self._since
        self.busy_s += elapsed * (self._servers - self._free)
        self.waiting_s += elapsed * len(self._waiting)
        self._since = self._simulation.now


@dataclass(eq=False)
class _Task:
    left_s: float
    most: float  # cores
    weight: float
    resume: Resume
    rate: float = 0.0


class Cores:
    """The cores of a machine, shared in proportion to weights up to what each task can use."""

    def __init__(self, simulation: Simulation, cores: float) -> None:
        self.busy_s = 0.0
        self._simulation = simulation
        self._cores = cores
        self._tasks: list[_Task] = []
        self._since = 0.0
        self._version = 0

    def work(self, seconds: float, most: float = 1.0, weight: float = 1.0) -> Wait:
        """Waits for so many seconds of one core."""

        def wait(resume: Resume) -> None:
            self._advance()
            self._tasks.append(_Task(seconds, most, weight, resume))
            self._share()

        return wait

    def _advance(self) -> None:
        elapsed = self._simulation.now - self._since
        self._since = self._simulation.now
        for task in self._tasks:
            task.left_s -= elapsed * task.rate
            self.busy_s += elapsed * task.rate

    def _share(self) -> None:
        left, tasks = self._cores, sorted(self._tasks, key=lambda task: task.most / task.weight)
        weights = sum(task.weight for task in tasks)
        for task in tasks:
            task.rate = min(task.most, left * task.weight / weights)
            left, weights = left - task.rate, weights - task.weight
        self._version += 1
        if tasks:
            version = self._version
            delay = min(max(task.left_s, 0) / task.rate for task in tasks)
            self._simulation.after(delay, lambda: self._finish(version))

    def _finish(self, version: int) -> None:
        if version == self._version:
            self._advance()
            done = [task for task in self._tasks if task.left_s < 1e-9]
            self._tasks = [task for task in self._tasks if task.left_s >= 1e-9]
            for task in done:
                self._simulation.after(0, task.resume)
            self._share()
