"""How well a network that looks twice tells films with pneumonia from others, source by source, on validation films."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor

from hilum.network.heads.opacity import highest
from hilum.network.network import Outputs
from hilum.training.feed.examples import Examples, Facts

Floats = NDArray[np.float64]


def view_figures(outputs: Sequence[Outputs], films: Examples) -> dict[str, float]:
    """`joined` is the mean over the sources of AUROC, of all scores of both views added up; then each source's own.

    Scores are brought to one size on these films. A film that shows its lungs alone has those of the second view only.
    """
    assert films.facts is not None
    facts = films.facts
    positive = positive_columns(facts, films.targets)
    scores = standard(film_scores(outputs, positive), facts)
    found = {
        f"auc_{source}": auroc(scores[(np.array(facts.sources) == source)], facts.pneumonia, facts.sources, source)
        for source in sorted(set(facts.sources))
    }
    return {"joined": float(np.mean(list(found.values()))), **found}


def positive_columns(facts: Facts, targets: NDArray[np.int64]) -> list[int]:
    """The classes that mean pneumonia, as most of their films say."""
    return [int(column) for column in np.unique(targets) if np.mean(facts.pneumonia[targets == column] > 0) > 0.5]


def film_scores(outputs: Sequence[Outputs], positive: Sequence[int]) -> Floats:
    """(films, 4): log odds of the classes and the highest places of the map, of the whole film and of the lungs."""
    columns = []
    for part in outputs:
        assert part.lungs is not None and part.opacity is not None and part.lungs.opacity is not None
        columns.append(
            torch.stack(
                [
                    log_odds(part.film, positive),
                    highest(part.opacity),
                    log_odds(part.lungs.film, positive),
                    highest(part.lungs.opacity),
                ],
                1,
            )
        )
    return np.asarray(torch.cat(columns).double().numpy())


def log_odds(logits: Tensor, positive: Sequence[int]) -> Tensor:
    """(films,): of these classes together against all others."""
    inside = torch.zeros(logits.shape[1], dtype=torch.bool)
    inside[list(positive)] = True
    return logits[:, inside].logsumexp(1) - logits[:, ~inside].logsumexp(1)


def standard(scores: Floats, facts: Facts) -> Floats:
    """(films,): the mean of a film's scores, each in standard deviations of the whole films of validation."""
    whole = ~facts.lungs_only
    scaled = (scores - scores[whole].mean(0)) / (scores[whole].std(0) + 1e-9)
    return np.asarray(np.where(whole, scaled.mean(1), scaled[:, 2:].mean(1)))


def auroc(scores: Floats, pneumonia: NDArray[np.int8], sources: Sequence[str], source: str) -> float:
    """Of the films of a source whose truth is known; 0.5 where all are alike."""
    truth = pneumonia[np.array(sources) == source]
    known = truth >= 0
    if len(np.unique(truth[known])) < 2:
        return 0.5
    return float(roc_auc_score(truth[known], scores[known]))
