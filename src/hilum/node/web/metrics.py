"""What Prometheus asks a node: how many and how long, by names of its settings; nothing of a film or a patient."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from hilum.node.running import Running

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class NodeMetrics(Collector):
    """Looked up when they are asked for, from the queue and the node's parts."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def exposition(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Family]:
        """Nothing is known before it is asked."""
        return ()

    def collect(self) -> Iterable[Family]:
        """All figures as they are now."""
        node = self._running
        waiting = node.queue.to_send()
        yield _gauge("films", "Films by what became of them.", "state", node.queue.counts())
        arrived = {outcome.value.replace(" ", "_"): count for outcome, count in node.intake.counts.items()}
        yield _counter("arrivals", "Films that were brought, by what became of them at the door.", "outcome", arrived)
        yield _counter("judged", "Films judged since the start.", "outcome", dict(node.judge.outcomes))
        took = node.judge.took
        yield HistogramMetricFamily(
            "hilum_node_seconds", "From a film's arrival to its answer.", buckets=took.buckets(), sum_value=took.sum
        )
        to_send = {sender.name: waiting.get(sender.name, (0, None))[0] for sender in node.senders}
        yield _gauge("results_waiting", "Results for each target.", "target", to_send)
        sent = {sender.name: sender.sent for sender in node.senders}
        yield _counter("results_sent", "Results that targets have stored since the start.", "target", sent)
        failing = {sender.name: int(sender.failing is not None) for sender in node.senders}
        yield _gauge("target_failing", "Whether a target could not be had at the last try.", "target", failing)
        missing = {asking.title: int(asking.failing is not None) for asking in node.asking}
        yield _gauge("catch_up_failing", "Whether an archive could not be asked the last time.", "archive", missing)
        yield CounterMetricFamily(
            "hilum_node_callers_rejected", "Callers who were turned away.", value=node.receiver.rejected
        )
        yield GaugeMetricFamily("hilum_node_oldest_film_seconds", "How long the next film waits.", node.queue.oldest())
        yield GaugeMetricFamily("hilum_node_spool_bytes", "Films and results that lie in the spool.", node.spool.size)
        yield GaugeMetricFamily("hilum_node_processes_ready", "Processes that judge films.", node.pool.ready)


def _gauge(name: str, meaning: str, label: str, values: dict[str, int]) -> Family:
    family = GaugeMetricFamily(f"hilum_node_{name}", meaning, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _counter(name: str, meaning: str, label: str, values: dict[str, int]) -> Family:
    family = CounterMetricFamily(f"hilum_node_{name}", meaning, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
