"""Figures of films with intervals from 2,000 resamples of patients, against scikit-learn called for each resample.

Seconds of the processor; scikit-learn's from a hundredth of the resamples.

    python benchmarks/figures.py [FILMS]
"""

from __future__ import annotations

import sys
import time

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from hilum.measures.bootstrap import Resampling
from hilum.measures.films.binary import binary_figures

RESAMPLES, PEER_RESAMPLES = 2000, 20


def main(films: int) -> None:
    random = np.random.default_rng(1)
    truth = random.random(films) < 0.4
    probability = np.round(1 / (1 + np.exp(-(random.normal(size=films) + 1.5 * (truth - 0.5)))), 2)
    patients = random.integers(0, films // 2, films)
    start = time.process_time()
    binary_figures(probability, truth, probability >= 0.5, patients, Resampling(RESAMPLES))
    ours = time.process_time() - start
    start = time.process_time()
    for _ in range(PEER_RESAMPLES):
        drawn = random.integers(0, films, films)
        roc_auc_score(truth[drawn], probability[drawn])
        average_precision_score(truth[drawn], probability[drawn])
    peer = (time.process_time() - start) * RESAMPLES / PEER_RESAMPLES
    print(f"all figures of {films:,} films, {RESAMPLES:,} resamples: {ours:.1f} s")
    print(f"scikit-learn, AUROC and average precision alone: {peer:.1f} s, {peer / ours:.1f} times as long")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6000)
