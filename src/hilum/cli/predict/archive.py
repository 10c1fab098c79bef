"""`hilum predict --out`: any number of films into a folder of Parquet, gone on with by the same command."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING

from hilum.cli.predict.interrupt import first_interrupt
from hilum.cli.terminal.lines import answer, say
from hilum.system.installed import install_extra

if TYPE_CHECKING:
    from hilum.bundle.card import Card
    from hilum.scale.judge import Hardware, Step
    from hilum.scale.plan import Plan
    from hilum.service.films.served import Served

INTERRUPTED = 130
WORDS = {"no_pneumonia": "no pneumonia", "abstain": "abstained"}


def main(given: Namespace) -> int:
    """Run the command; its exit code."""
    needed = {"polars": "archive"} if given.ray is None else dict.fromkeys(("polars", "pyarrow", "ray"), "scale")
    if missing := [extra for package, extra in needed.items() if find_spec(package) is None]:
        say(f"hilum predict --out needs more than the base package: {install_extra(missing[0])}")
        return 1
    from hilum.bundle.card import BundleError
    from hilum.scale.errors import ScaleError, in_one_line

    try:
        return _judge(given)
    except KeyboardInterrupt:
        say("stopped; what is whole is kept, and the same command goes on")
        return INTERRUPTED
    except (BundleError, ScaleError, OSError) as error:
        say(in_one_line(error))
    return 1


def _judge(given: Namespace) -> int:
    from hilum.bundle.asked import Asked
    from hilum.bundle.card import BundleError
    from hilum.bundle.opening import CPU
    from hilum.scale.judge import NAME, Hardware, open_on
    from hilum.scale.parts import parts_done
    from hilum.scale.plan import How, open_plan
    from hilum.scale.results import results_at
    from hilum.scale.sources import sources_as_text
    from hilum.service.films.served import Served
    from hilum.system.cores import available_cores

    asked = Asked(given.operating_point, given.threshold, not given.no_gate, False, given.box_threshold, given.patient)
    results = results_at(given.out)
    sources = sources_as_text(given.paths, insecure=given.insecure)
    # Over a cluster the devices are elsewhere, and may be other ones.
    predictor, device = open_on(given.model, given.device if given.ray is None else CPU, say)
    served = Served.of(NAME, predictor)
    try:
        how = How.of(served, asked, invert=given.invert, overlays=given.overlays)
    except BundleError as error:
        raise BundleError(f"{served.path}: {error}") from None
    plan = open_plan(results, how, sources)
    job, jobs = given.shard or (1, 1)
    done = parts_done(plan.results)
    todo = [shard for shard in range(job - 1, len(plan), jobs) if shard not in done]
    hardware = Hardware(given.processes or available_cores(), device if given.ray is None else given.device)
    with first_interrupt() as stopped, progress(len(todo)) as advance:
        for step in _judged(plan, served, todo, hardware, given):
            advance(step)
            if stopped():
                break
    done = parts_done(plan.results)
    if len(done) == len(plan):
        return _say_summary(plan, served.card)
    if stopped():
        say(f"stopped; {len(done):,} of {len(plan):,} parts are there, and the same command goes on")
        return INTERRUPTED
    if given.ray is not None and not done.issuperset(todo):
        say(f"{plan.results}: parts were judged that are not here; name a folder that all machines share")
        return 1
    say(f"job {job} of {jobs} is done; {len(done):,} of {len(plan):,} parts are there")
    return 0


def _judged(plan: Plan, served: Served, todo: list[int], hardware: Hardware, given: Namespace) -> Iterator[Step]:
    from hilum.scale.judge import judging_with, shards_judged

    if todo and given.ray is not None:
        from hilum.scale.cluster import on_cluster, shards_judged_there

        with on_cluster(given.ray, insecure=given.insecure):
            yield from shards_judged_there(plan, todo, served, hardware)
    elif todo:
        with judging_with(served, plan, hardware) as judging:
            yield from shards_judged(plan, todo, judging)


def _say_summary(plan: Plan, card: Card) -> int:
    from hilum.scale.summary import summarize

    summary = summarize(plan, card)
    counts = [f"{WORDS.get(name, name)} {count:,}" for name, count in summary.decisions.items()]
    films = "1 film" if summary.films == 1 else f"{summary.films:,} films"
    answer(f"{films}: {', '.join([*counts, f'without an answer {summary.failed:,}'])}")
    for what, reasons in (("abstained", summary.abstentions), ("no answer", summary.errors)):
        if reasons:
            answer(f"{what}: {', '.join(f'{reason} {count:,}' for reason, count in reasons.items())}")
    for seconds, uri, member in summary.slowest:
        answer(f"slow: {seconds:.1f} s {uri}{f' {member}' if member else ''}")
    if summary.drift:
        answer(summary.drift)
    answer(f"rows: {plan.results}/rows")
    return int(summary.failed > 0)


@contextmanager
def progress(todo: int) -> Iterator[Callable[[Step], None]]:
    """Films, how many a second, how long yet, how many bad ones: a bar for a person, a line now and then for a log."""
    from hilum.cli.terminal.progress import Quiet, bar
    from hilum.scale.judge import Step

    done = Step()
    began = time.monotonic()
    quiet = Quiet()
    # Of archives nobody knows how many films they hold, so what is left is counted in shards.
    with bar() as shown:
        task = shown.add_task("starting", total=todo)

        def advance(step: Step) -> None:
            nonlocal done
            done += step
            seconds = time.monotonic() - began
            words = f"{done.films:,} films, {done.films / seconds:,.1f} films/s, {done.failed:,} without an answer"
            shown.update(task, description=words, completed=done.shards)
            if shown.disable and quiet.too_long():
                rest = seconds / max(done.shards, 1) * (todo - done.shards)
                left = f"{timedelta(seconds=round(rest))} left" if done.shards else "no part is whole yet"
                say(f"{words}; {done.shards:,} of {todo:,} parts, {left}")

        yield advance
