"""A node from start to stop: films come in, are judged, and results go out, each in threads of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Event, Thread

from hilum.node.alerts import Alerts
from hilum.node.catch_up.asking import Asking
from hilum.node.choosing import choose_all_again
from hilum.node.dimse.receiving import Receiver
from hilum.node.intake import Intake
from hilum.node.judging import Judge, bundles_of
from hilum.node.log import note
from hilum.node.queue import Queue
from hilum.node.running import Running
from hilum.node.settings.node import NodeSettings
from hilum.node.spool import Spool
from hilum.node.studies import Studies
from hilum.node.targets.sender import Sender
from hilum.service.films.monitors import Monitors
from hilum.service.films.pool import FilmPool
from hilum.service.films.process import Limits
from hilum.system.cores import available_cores

CLEANED_EVERY = 3600.0


def run(settings: NodeSettings, stopped: Event) -> None:
    """Until `stopped`. Raises NodeError, BundleError, MonitorError and DatabaseError before it listens."""
    bundles = bundles_of(settings)
    spool = Spool(Path(settings.spool))
    spool.make()
    holding = spool.hold()
    try:
        with Queue(spool.folder) as queue:
            spool.tidy(queue)
            choose_all_again(settings, spool, queue)
            senders = [Sender(target, settings, spool, queue) for target in settings.target]
            intake = Intake(settings, spool, queue)
            receiver = Receiver(settings, spool, queue, intake)
            with (
                Monitors(bundles, spool.folder, note) as monitors,
                FilmPool(bundles, settings.processes or available_cores(), Limits(), monitors=monitors) as pool,
            ):
                judge = Judge(settings, pool, spool, queue)
                asking = [Asking(one, settings, spool, queue, intake) for one in settings.catch_up]
                running = Running(settings, spool, queue, intake, receiver, pool, judge, monitors, senders, asking)
                work: list[Callable[[Event], None]] = [judge.run, Studies(settings, spool, queue).run]
                work += [*(sender.run for sender in senders), *(archive.run for archive in asking)]
                if settings.alert is not None:
                    work.append(Alerts(settings.alert, running).run)
                threads = [Thread(target=step, args=(stopped,)) for step in work]
                with _web(running), receiver.open() as port:
                    for thread in threads:
                        thread.start()
                    note(f"hilum node {settings.title} listens on {settings.host}:{port}; Ctrl-C stops")
                    while not stopped.wait(CLEANED_EVERY):
                        clean(settings, spool, queue)
                queue.wake()
                for thread in threads:
                    thread.join()
    finally:
        holding.close()


def _web(running: Running) -> AbstractContextManager[object]:
    """Its port for HTTP, where the settings want one: it needs packages that the rest does not."""
    if running.settings.http is None:
        return nullcontext()
    from hilum.node.web.server import listening

    return listening(running.settings.http, running)


def clean(settings: NodeSettings, spool: Spool, queue: Queue) -> None:
    """Forget what is older than it is to be kept."""
    old = queue.forget_before(time.time() - settings.keep_days * 86400)
    for number in old:
        spool.remove(number)
    if old:
        note(f"{len(old)} films are past their days and forgotten")
