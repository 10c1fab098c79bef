"""The names in a Bundle's graph, written once: what it takes, what it gives, and what the columns of the gate mean.

docs/bundle.md tells the same to those who run bundles without hilum.
"""

from __future__ import annotations

from hilum.radiograph.patient import Patient

FILMS = "films"  # uint8 (N, 1, height, width)
PROBABILITIES, HEATMAPS, FEATURES, GATE = "probabilities", "heatmaps", "features", "gate"
BOXES, SCORES = "boxes", "scores"  # of a bundle that says where
LUNGS = "lungs"  # of a bundle that looks at the lungs by themselves
LUNG_STRIDE = 4  # pixels of the film along each side of a place of `lungs`
GROUPS = "groups"  # of a bundle that answers for children and for adults apart, whose columns are PATIENTS

# Columns of the gate: how far from the training films, then the probabilities of states, whose first is upright. The
# card says which states; every gate has these. A gate that asks for two lungs knows both of the others.
DISTANCE = 0
STATES = ("upright", "turned by 90", "turned by 180", "turned by 270", "inverted", "no chest film")
LATERAL = "lateral"
NO_TWO_LUNGS = "no two lungs"

# Numbers that stand in the graph by their names, to be set anew for films of one's own: the gate's distance is divided
# by its limit, and the log odds of pneumonia are changed along a line at last, for each group of patients where there
# are any.
GATE_LIMIT = "gate.limit"


def line_names(patient: Patient | None) -> tuple[str, str]:
    """What the slope and the offset of the log odds are called."""
    whose = f"{patient}." if patient else ""
    return f"calibration.{whose}slope", f"calibration.{whose}offset"
