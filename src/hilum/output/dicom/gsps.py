"""The answer and the boxes as a presentation state: lines and text over the untouched film, on and off in a viewer."""

from __future__ import annotations

from highdicom import pr
from pydicom.dataset import Dataset

from hilum import __version__
from hilum.bundle.prediction import RESEARCH_USE, Answered
from hilum.output.dicom.made import MAKER, Made, answer_in_words, copy_laterality
from hilum.output.dicom.place import outline
from hilum.output.table import percent

LABEL, LINE = "HILUM", 0.035  # of the film's height for a line of text


def presentation(made: Made) -> Dataset:
    """Boxes with their scores where they lie, and the answer in the upper left corner of the display."""
    header, prediction = made.source.header, made.prediction
    layer = pr.GraphicLayer("HILUM", 1, "what hilum found")
    lines, texts = [], []
    if isinstance(prediction, Answered):
        for number, box in enumerate(prediction.boxes, start=1):
            # A pixel's middle is at half in SR and here at one; its corner is at 0 there and at half here.
            rows, columns = made.source.size
            corners = (outline(box, prediction.turn, made.source.size) + 0.5).clip(0, [columns, rows])
            name, uid = f"opacity {number}", made.uid_of(f"box {number}")
            lines.append(pr.GraphicObject("POLYLINE", corners, "PIXEL", tracking_id=name, tracking_uid=uid))
            corner = tuple(corners.min(0).clip(1).tolist())
            texts.append(pr.TextObject(percent(box.score), "PIXEL", anchor_point=corner, anchor_point_visible=False))
    for number, line in enumerate((*answer_in_words(prediction), RESEARCH_USE)):
        top = 0.02 + number * LINE
        texts.append(
            pr.TextObject(line, "DISPLAY", bounding_box=(0.02, top, 0.98, top + LINE), text_justification="LEFT")
        )
    state = pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[header],
        series_instance_uid=made.series_uid,
        series_number=made.series_number,
        sop_instance_uid=made.instance_uid,
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=made.model,
        software_versions=__version__,
        device_serial_number=prediction.bundle,
        content_label=LABEL,
        content_description=RESEARCH_USE[:64],
        graphic_annotations=[pr.GraphicAnnotation([header], layer, graphic_objects=lines or None, text_objects=texts)],
        graphic_layers=[layer],
    )
    copy_laterality(state, made.source)
    state.SeriesDescription = "hilum boxes and answer over the film"
    return state
