"""How a film looks, in numbers, and how to make it look like others: for results/kermany_split.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.uint8]
Floats = NDArray[np.float64]
SIDE = 224
BANDS = {"coarse detail": (0.06, 0.12), "fine detail": (0.2, 0.3), "finest detail": (0.3, 0.5)}  # cycles a pixel
NAMES = (
    *("mean", "contrast", "white", "99th percentile", "grey levels used", "entropy", "black border"),
    *(*BANDS, "detail across to down", "dark share", "height of the dark", "Laplacian variance"),
)


def measured(film: Levels) -> tuple[float, ...]:
    """Numbers on one film, in the order of NAMES. "The dark" is what Otsu's threshold takes for lungs in the middle."""
    f = film.astype(np.float32)
    share = np.bincount(film.ravel(), minlength=256) / film.size
    used = share[share > 0]
    edge = np.concatenate([film[:6].ravel(), film[-6:].ravel(), film[:, :6].ravel(), film[:, -6:].ravel()])
    power = power_of(film)
    bands = [float(np.log(power[between(low, high)].mean())) for low, high in BANDS.values()]
    middle = cv2.GaussianBlur(film, (0, 0), 3)[20:-20, 20:-20]
    dark = middle < cv2.threshold(middle, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[0]
    rows = np.nonzero(dark)[0]
    return (
        *(float(f.mean()), float(f.std()), float((film >= 250).mean()), float(np.percentile(film, 99))),
        *(float(len(used)), float(-(used * np.log2(used)).sum()), float((edge <= 10).mean()), *bands),
        float(np.log(power[ACROSS].mean() / power[ACROSS.T].mean())),
        *(float(dark.mean()), float(rows.std()), float(cv2.Laplacian(f, cv2.CV_32F).var())),
    )


def detail(film: Levels, low: float, high: float) -> float:
    return float(power_of(film)[between(low, high)].mean())


def power_of(film: Levels) -> Floats:
    f = film.astype(np.float32)
    return np.asarray(np.abs(np.fft.fft2((f - f.mean()) * WINDOW)) ** 2)


def between(low: float, high: float) -> NDArray[np.bool_]:
    return np.asarray((low <= RADIUS) & (high > RADIUS))


DOWN, OVER = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij")
RADIUS = np.hypot(DOWN, OVER)
ACROSS = (RADIUS > 0.1) & (RADIUS < 0.35) & (abs(OVER) > 2 * abs(DOWN))
WINDOW = np.outer(np.hanning(SIDE), np.hanning(SIDE)).astype(np.float32)


def changes(reference: Levels) -> dict[str, Callable[[Levels], Levels]]:
    """What gives a film the usual brightness and contrast, grey levels, spectrum, or grain of these films."""
    mean, contrast = np.median(reference.mean((1, 2))), np.median(reference.std((1, 2)))
    shares = np.linspace(0, 100, 257)
    quantiles = np.median([np.percentile(film, shares) for film in reference], 0)
    usual = np.exp(np.median([np.log(amplitudes(film)) for film in reference], 0))

    finest = np.exp(np.median([np.log(detail(film, *BANDS["finest detail"])) for film in reference]))
    noise = np.random.default_rng(1).standard_normal((SIDE, SIDE))

    def brightness(film: Levels) -> Levels:
        return rounded((film - film.mean()) / film.std() * contrast + mean)

    def histogram(film: Levels) -> Levels:
        own = np.percentile(film, shares) + np.arange(257) * 1e-6  # rising, as interpolation wants it
        return rounded(np.interp(film, own, quantiles))

    def spectrum(film: Levels) -> Levels:
        gain = np.clip(usual / amplitudes(film), 1 / 3, 3)
        gain[:4] = 1
        whole = np.fft.irfft2(np.fft.rfft2(mirrored(film)) * gain[RINGS], s=(2 * SIDE, 2 * SIDE))
        return rounded(whole[:SIDE, :SIDE])

    def grain(film: Levels) -> Levels:
        """White noise, as much as the finest detail lacks; none where it lacks nothing."""
        missing = max(finest - detail(film, *BANDS["finest detail"]), 0)
        return rounded(film + noise * np.sqrt(missing / (WINDOW**2).sum()))

    return {
        "brightness and contrast": brightness,
        "histogram": histogram,
        "spectrum": spectrum,
        "spectrum and histogram": lambda film: histogram(spectrum(film)),
        "grain": grain,
    }


RINGS = np.hypot(np.fft.fftfreq(2 * SIDE)[:, None], np.fft.rfftfreq(2 * SIDE)[None])
RINGS = np.minimum((RINGS * 80).astype(np.int64), 40)


def amplitudes(film: Levels) -> Floats:
    power = np.abs(np.fft.rfft2(mirrored(film) - film.mean())) ** 2
    return np.sqrt(np.bincount(RINGS.ravel(), power.ravel()) / np.bincount(RINGS.ravel()))


def mirrored(film: Levels) -> Floats:
    """Continued on two sides so that no edge shows in the spectrum."""
    return np.pad(film.astype(np.float64), ((0, SIDE), (0, SIDE)), "symmetric")


def stretched(film: Levels) -> Levels:
    low, high = np.percentile(film, (0.1, 99.9))
    return rounded((film - low) / (high - low) * 255)


def smoothed(film: Levels, sigma: float) -> Levels:
    return rounded(cv2.GaussianBlur(film.astype(np.float32), (0, 0), sigma))


def rounded(film: NDArray[Any]) -> Levels:
    return np.asarray(np.clip(np.rint(film), 0, 255), np.uint8)
