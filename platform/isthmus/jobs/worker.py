"""The worker process: the cluster that runs jobs, and beside it the sweeper and the services of other apps."""

import os
import select
import signal
import threading

from django.db import DatabaseError, InterfaceError, connections

from isthmus.jobs import process_locks, processes, services, transitions
from isthmus.jobs.conf import options
from isthmus.jobs.django_q_cluster import WorkerCluster
from isthmus.jobs.jobs import purge_ended_jobs
from isthmus.jobs.schedules import ensure_declared_schedules, ensure_schedule
from isthmus.jobs.sweeper import Sweeper
from isthmus.logs import get_logger

__all__ = ["Worker"]

log = get_logger(__name__)


class Worker:
    """Runs until SIGTERM or SIGINT. To be used from the main thread."""

    def __init__(self) -> None:
        self.name = processes.new_name()
        self._cluster = WorkerCluster()
        self._sweeper = Sweeper(self.name)
        self._services = services.made()
        self._is_prepared = False
        self._stop_reader, self._stop_writer = os.pipe()

    def run(self) -> bool:
        """Return True after an orderly stop, False when the cluster ended unasked."""
        process_locks.name_holders_after(self.name)
        self._cluster.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        # After the cluster's processes were forked: threads and forks do not mix.
        for service in self._services:
            service.start(self.name)
        log.info("worker.started", worker=self.name)
        asked = self._sweep_until_stop()
        self._stop(asked=asked)
        return asked

    def _ask_to_stop(self, _number: int, _frame: object) -> None:
        # A pipe: unlike an event's lock, writing to it is safe wherever the signal interrupts.
        os.write(self._stop_writer, b"x")

    def _sweep_until_stop(self) -> bool:
        while True:
            self._sweep()
            heard, _, _ = select.select(
                [self._stop_reader, self._cluster.end_descriptor], [], [], options.sweep_seconds
            )
            if self._stop_reader in heard:
                return True
            if heard and not self._cluster.is_alive():
                log.error("worker.cluster_ended", worker=self.name)
                return False

    def _sweep(self) -> None:
        try:
            if not self._is_prepared:
                ensure_schedule("Purge ended operations", purge_ended_jobs, cron="17 3 * * *")
                ensure_declared_schedules()
                self._is_prepared = True
            self._sweeper.sweep()
        except (DatabaseError, InterfaceError) as error:
            log.warning("worker.database_away", error=type(error).__name__)
            connections.close_all()

    def _stop(self, *, asked: bool) -> None:
        grace_seconds = options.stop_grace_seconds if asked else 0
        self._cluster.take_no_more()
        log.info("worker.stopping", worker=self.name, grace_seconds=grace_seconds)
        stopping = [threading.Thread(target=service.stop, args=[grace_seconds]) for service in self._services]
        for thread in stopping:
            thread.start()
        in_order = self._cluster.stop(grace_seconds)
        for thread in stopping:
            thread.join()
        try:
            given_back = transitions.give_back(self.name)
            processes.stopped("worker", self.name)
        except (DatabaseError, InterfaceError) as error:
            # The leases run out by themselves.
            log.warning("worker.database_away", error=type(error).__name__)
            given_back = 0
        log.info("worker.stopped", worker=self.name, in_order=in_order, jobs_given_back=given_back)
