"""From thickness to grey levels: beam, scatter, detector, noise, tone curve, collimation, marker."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.dataset.phantom.anatomy import Habitus
from hilum.dataset.phantom.canvas import Canvas, Map

ATTENUATION = 0.19  # of water, per centimeter, at the energies of a chest film

# The lead letters as strokes on a field of 1 x 1, because fonts differ from one OpenCV to the next.
R_BOW = [(0, 1), (0, 0), (0.4, 0), (0.58, 0.12), (0.58, 0.38), (0.4, 0.5), (0, 0.5), (0.3, 0.5)]
LETTERS = {"R": np.array([*R_BOW, (0.3, 0.5), (0.62, 1)]), "L": np.array([(0, 0)] * 7 + [(0, 1), (0, 1), (0.5, 1)])}


@dataclass(frozen=True, slots=True)
class Exposure:
    """How one film was taken and processed. Nothing in it knows the label."""

    scatter: float
    blur: float  # centimeters
    noise: float  # grey levels of 255 in the lungs
    contrast: float
    brightness: float
    gamma: float
    sharpening: float
    shading: Map  # uneven beam, in grey levels from 0 to 1
    field: Map  # 1 where the beam was let through, 0 under the collimator
    marker: tuple[str, float, float, float] | None  # letters, x and y as parts of the frame, height as a part
    grain: int

    @classmethod
    def drawn(cls, rng: np.random.Generator, body: Habitus, canvas: Canvas) -> Exposure:
        """An exposure by chance, as beds and machines differ."""
        heel = rng.normal(0, 0.02) * (canvas.x / 15) + rng.normal(0, 0.02) * ((canvas.y - 13) / 15)
        return cls(
            scatter=float(rng.uniform(0.04, 0.22)) + (0.06 if body.view == "AP" else 0.0),
            blur=float(rng.uniform(0.02, 0.06)),
            noise=float(rng.gamma(2.5, 0.7)) + 0.5,
            contrast=float(rng.uniform(1.0, 1.7)),
            brightness=float(rng.normal(0.03, 0.06)),
            gamma=float(np.exp(rng.normal(0, 0.14))),
            sharpening=float(max(0.0, rng.uniform(-0.2, 0.7))),
            shading=np.asarray(heel, np.float32),
            field=_collimated(rng, canvas),
            marker=_marker(rng),
            grain=int(rng.integers(2**31)),
        )

    def window(self, thickness: Map, lung: Map) -> tuple[float, float]:
        """The signal of the darkest lung and of the densest belly, between which the tone curve spreads its greys."""
        signal = self._signal(thickness[::3, ::3])
        inflated = signal[lung[::3, ::3] > 5]
        return float(np.percentile(inflated, 8)), float(np.percentile(signal, 96))

    def _signal(self, thickness: Map) -> Map:
        primary = np.exp(np.float32(-ATTENUATION) * thickness)
        small = cv2.resize(primary, (24, 24), interpolation=cv2.INTER_AREA)
        haze = cv2.resize(cv2.GaussianBlur(small, (0, 0), 3.0), primary.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return np.asarray(-np.log(primary + np.float32(self.scatter) * np.minimum(haze, 0.35)), np.float32)

    def develop(
        self, thickness: Map, window: tuple[float, float], canvas: Canvas, size: tuple[int, int]
    ) -> NDArray[np.uint8]:
        """The film in grey levels, of (height, width), that this exposure makes of what the beam met."""
        height, width = size
        signal = canvas.soften(self._signal(thickness), self.blur)
        if self.sharpening > 0:
            signal = signal + np.float32(self.sharpening) * (signal - canvas.soften(signal, 0.5))
        low, high = window
        position = (signal - np.float32(low)) * np.float32(1 / (high - low)) - np.float32(0.5)
        grey = 0.5 + 0.5 * np.tanh(np.float32(self.contrast) * position) + np.float32(self.brightness) + self.shading
        grey = np.clip(grey * self.field, 0, 1) ** np.float32(self.gamma)
        film = np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        film += self._quantum_noise(film)
        pixels = np.asarray(np.clip(film * 255 + 0.5, 0, 255), np.uint8)
        if self.marker:
            _stamp(pixels, self.marker)
        return pixels

    def _quantum_noise(self, film: Map) -> Map:
        """Few quanta come through dense parts, so that the noise grows with the grey level."""
        rng = np.random.default_rng(self.grain)
        grain = cv2.GaussianBlur(rng.standard_normal(film.shape, np.float32), (3, 3), 0.55)
        return np.asarray(grain * np.float32(1.6 * self.noise / 255) * (0.35 + film) * (film > 0.004), np.float32)


def _collimated(rng: np.random.Generator, canvas: Canvas) -> Map:
    field = np.ones((canvas.height, canvas.width), np.float32)
    if rng.random() < 0.3:
        share = rng.uniform(0, 0.045, 4) * (rng.random(4) < 0.6)
        tilt = rng.normal(0, 0.006, 4)
        left, right = share[0] * canvas.width, (1 - share[1]) * canvas.width
        top, bottom = share[2] * canvas.height, (1 - share[3]) * canvas.height
        h, w = canvas.height, canvas.width
        corners = np.array(
            [
                (left, top),
                (right + tilt[0] * h, top + tilt[1] * w),
                (right, bottom + tilt[2] * w),
                (left + tilt[3] * h, bottom),
            ]
        )
        mask = canvas.blank()
        cv2.fillConvexPoly(mask, np.round(corners * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
        field = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.8), np.float32) / np.float32(255)
    return field


def _marker(rng: np.random.Generator) -> tuple[str, float, float, float] | None:
    if rng.random() > 0.6:
        return None
    letter = "R" if rng.random() < 0.6 else "L"
    x = rng.uniform(0.02, 0.10) if letter == "R" else rng.uniform(0.87, 0.94)
    return letter, float(x), float(rng.uniform(0.07, 0.3)), float(rng.uniform(0.028, 0.05))


def _stamp(film: NDArray[np.uint8], marker: tuple[str, float, float, float]) -> None:
    letter, x, y, tall = marker
    height, width = film.shape
    strokes = LETTERS[letter] * tall * height + [x * width, y * height]
    fixed = [np.round(stroke * 16).astype(np.int32) for stroke in (strokes[:8], strokes[8:])]
    cv2.polylines(film, fixed, False, 248, max(1, round(0.16 * tall * height)), cv2.LINE_AA, 4)
