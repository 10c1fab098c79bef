"""NODE.toml: all that a node does, typed, each setting with its bounds."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from hilum.dicomweb.peer import LOOPBACK, is_open
from hilum.node.settings.alert import Alert
from hilum.node.settings.rule import Rule
from hilum.node.settings.target import SENDER, CatchUp, Port, Target, TargetTls, Tls, check_title
from hilum.system.cores import MOST_PROCESSES
from hilum.system.misfit import in_words, nearest
from hilum.system.typed import Bounds, MisfitError, build, out_of_bounds

if TYPE_CHECKING:
    from hilum.node.film import Facts

Peer = TypeVar("Peer", Target, CatchUp)


class NodeError(ValueError):
    """What a node must not or cannot be started with, in one line."""


@dataclass(frozen=True, slots=True)
class Http:
    """A port for films by STOW-RS, health and metrics, and what callers must show where it is open to others."""

    port: Port
    host: str = "127.0.0.1"
    names: list[str] = field(default_factory=list)
    token_file: str | None = None
    cert: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """A node. Paths are relative to the folder of its file."""

    spool: str
    rule: list[Rule]
    target: list[Target] = field(default_factory=list)
    catch_up: list[CatchUp] = field(default_factory=list)
    title: str = "HILUM"
    host: str = "127.0.0.1"
    port: Port = 11112
    callers: list[str] = field(default_factory=list)
    tls: Tls | None = None
    http: Http | None = None
    alert: Alert | None = None
    associations: Annotated[int, Bounds(lowest=1, highest=200)] = 8
    pdu_kilobytes: Annotated[int, Bounds(lowest=4, highest=1024)] = 128
    max_megabytes: Annotated[int, Bounds(lowest=1, highest=2000)] = 200
    idle_seconds: Annotated[int, Bounds(lowest=1, highest=3600)] = 60
    processes: Annotated[int, Bounds(lowest=1, highest=MOST_PROCESSES)] | None = None
    spool_gigabytes: Annotated[float, Bounds(above=0)] = 20
    keep_days: Annotated[float, Bounds(above=0)] = 7
    give_up_hours: Annotated[float, Bounds(above=0)] = 72

    def __post_init__(self) -> None:
        check_title(self.title)
        if not self.rule:
            raise ValueError("rule: there is none; write a [[rule]] that says which films are judged")
        names = [target.name for target in self.target]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"target {name}: is there twice; give one of them another name")
        rules = [rule.name for rule in self.rule if rule.name]
        for name in rules:
            if rules.count(name) > 1:
                raise ValueError(f"rule {name}: is there twice; give one of them another name")
        for archive in self.catch_up:
            if archive.dicomweb and archive.days > self.keep_days:
                raise ValueError(f"catch_up {archive.title}.days: must be keep_days at most, or films come again")
        for number, rule in enumerate(self.rule):
            for name in rule.to:
                if name not in (*names, SENDER):
                    raise ValueError(f"rule.{number}.to = {name!r}: {nearest(name, [*names, SENDER])}")

    def open_to_others(self) -> Iterator[str]:
        """What of it passes a network as anyone may read it, a line for each."""
        if self.host not in LOOPBACK and self.tls is None:
            yield f"host {self.host}: is open to others, and AE titles prove nothing; write a [tls] section"
        if self.http is not None and self.http.host not in LOOPBACK and self.http.cert is None:
            yield f"http.host {self.http.host}: is open to others; give cert and key"
        for target in self.target:
            if target.is_open:
                how = "an https url" if target.url else "a tls = { authority = FILE }"
                yield f"target {target.name}: lies on another machine; give it {how}"
        for archive in self.catch_up:
            if is_open(archive.url):
                yield f"catch_up {archive.title}: lies on another machine; give it an https url"

    def rule_for(self, facts: Facts) -> Rule | None:
        """The first rule that takes a film; None where none does."""
        return next((rule for rule in self.rule if rule.takes(facts)), None)

    def targets_of(self, rule: Rule, caller: str) -> list[str] | None:
        """The names of a rule's targets, each once; None where the sender is meant and is none of them."""
        if rule.shadow:
            return []
        by_title = {target.title.strip(): target.name for target in self.target if target.title}
        named = [by_title.get(caller) if name == SENDER else name for name in rule.to]
        return None if None in named else list(dict.fromkeys(name for name in named if name is not None))


def load_settings(path: Path, *, insecure: bool = False) -> NodeSettings:
    """The settings in a file, with its paths made whole. Raises NodeError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        settings = build(NodeSettings, values)
    except OSError as error:
        raise NodeError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NodeError(f"{path}: is no text file") from None
    except tomllib.TOMLDecodeError as error:
        raise NodeError(f"{path}: {error}") from None
    except MisfitError as misfit:
        raise NodeError(f"{path}: {in_words(misfit, 'node')}") from None
    for line in out_of_bounds(settings):
        raise NodeError(f"{path}: {line}")
    if not insecure:
        for line in settings.open_to_others():
            raise NodeError(f"{path}: {line}, or say --insecure where that network is yours alone")
    return _whole(settings, path.absolute().parent)


def _whole(settings: NodeSettings, folder: Path) -> NodeSettings:
    def place(path: str) -> str:
        return str(folder / Path(path).expanduser())

    def maybe(path: str | None) -> str | None:
        return None if path is None else place(path)

    def placed(peer: Peer) -> Peer:
        tls = peer.tls and TargetTls(place(peer.tls.authority), maybe(peer.tls.cert), maybe(peer.tls.key))
        return replace(peer, tls=tls, credentials_file=maybe(peer.credentials_file))

    rules = [
        replace(rule, model=place(rule.model) if rule.model.endswith(".onnx") else rule.model) for rule in settings.rule
    ]
    tls = settings.tls and Tls(place(settings.tls.cert), place(settings.tls.key), maybe(settings.tls.callers))
    http = settings.http and replace(
        settings.http,
        token_file=maybe(settings.http.token_file),
        cert=maybe(settings.http.cert),
        key=maybe(settings.http.key),
    )
    return replace(
        settings,
        spool=place(settings.spool),
        rule=rules,
        target=[placed(target) for target in settings.target],
        catch_up=[placed(archive) for archive in settings.catch_up],
        http=http,
        tls=tls,
    )
