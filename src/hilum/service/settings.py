"""What a service is started with, as one value that goes to each of its processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hilum.service.films.process import Limits
from hilum.service.films.served import Served

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
MEGABYTE = 2**20


class SettingsError(ValueError):
    """What a service must not be started with, in one line."""


def check_model_names(names: Sequence[str]) -> None:
    """Refuse names by which nobody could ask for one bundle of several. Raises SettingsError."""
    for name in names:
        if not name:
            raise SettingsError("a model without a name; give FILE, or NAME=FILE")
        if names.count(name) > 1:
            raise SettingsError(f"model {name} is given twice; give one of them another name: NAME=FILE")


@dataclass(frozen=True, slots=True)
class Settings:
    """`names` are the host names under which clients may call; `token` is what they must show, if anything.

    `tokens` are a name and a token for each of several people who are to be told apart.

    `processes` judge films for each of `workers` server processes. In each, at most `queue` requests are read or wait
    at once, none of them larger than `max_megabytes`. Watches of drift are kept in the folder `drift`.
    """

    bundles: tuple[Served, ...]
    host: str = "127.0.0.1"
    port: int = 8000
    names: frozenset[str] = LOOPBACK
    token: str | None = None
    tokens: tuple[tuple[str, str], ...] = ()
    cert: Path | None = None
    key: Path | None = None
    behind_proxy: bool = False
    workers: int = 1
    processes: int = 1
    queue: int = 64
    max_megabytes: int = 100
    limits: Limits = field(default_factory=Limits)
    drift: Path | None = None

    def __post_init__(self) -> None:
        check_model_names([served.name for served in self.bundles])
        if self.drift is not None and self.workers > 1:
            raise SettingsError(
                "--drift goes with one worker, for each watches films of its own; leave one of them out"
            )
        if self.host in LOOPBACK:
            return
        if self.token is None and not self.tokens:
            raise SettingsError(
                f"host {self.host} is open to others: give a token that they must show (--token-file FILE, or the "
                "variable HILUM_TOKEN), or stay on 127.0.0.1"
            )
        if self.cert is None and not self.behind_proxy:
            raise SettingsError(
                f"host {self.host} is open to others: encrypt (--cert FILE, --key FILE), or say --behind-proxy if "
                "what stands before it does"
            )

    @property
    def most_bytes(self) -> int:
        """The largest body of a request."""
        return self.max_megabytes * MEGABYTE

    @property
    def most_bytes_at_once(self) -> int:
        """Of all requests that are read or wait in a worker."""
        return 4 * self.most_bytes
