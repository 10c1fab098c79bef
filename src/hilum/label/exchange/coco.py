"""COCO: boxes as [x, y, width, height] in pixels; elsewhere a film's class may be an annotation without a box."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hilum.dataset.readings.reading import Box
from hilum.label.exchange.labeled import Labeled, json_of
from hilum.label.films import RoomError


def read_coco(path: Path) -> list[Labeled]:
    """The films of a COCO file. Raises RoomError."""
    content = json_of(path)
    try:
        names = {category["id"]: str(category["name"]) for category in content["categories"]}
        boxes: dict[Any, list[Box]] = defaultdict(list)
        labels: dict[Any, str] = {}
        for annotation in content["annotations"]:
            name = names[annotation["category_id"]]
            x, y, width, height = map(float, annotation.get("bbox") or (0, 0, 0, 0))
            if width > 0 and height > 0:
                boxes[annotation["image_id"]].append(Box(x, y, width, height, name))
            else:
                labels[annotation["image_id"]] = name
        return [
            Labeled(
                str(image["file_name"]),
                image.get("label") or labels.get(image["id"]),
                boxes[image["id"]],
                (image["width"], image["height"]),
            )
            for image in content["images"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RoomError(f"{path}: not COCO's images, annotations and categories; export it again") from None


def coco(films: Sequence[Labeled]) -> dict[str, Any]:
    """Films as COCO has them; what a film shows as a whole stands as `label` beside its file's name."""
    classes = sorted({name for film in films for name in (film.label, *(box.label for box in film.boxes)) if name})
    number = {name: place for place, name in enumerate(classes, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for film_id, film in enumerate(films, start=1):
        width, height = film.size or (0, 0)
        images.append({"id": film_id, "file_name": film.film, "width": width, "height": height, "label": film.label})
        for box in film.boxes:
            if (name := box.label or film.label) is not None:
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": film_id,
                        "category_id": number[name],
                        "bbox": [box.x, box.y, box.width, box.height],
                        "area": box.width * box.height,
                        "iscrowd": 0,
                    }
                )
    categories = [{"id": place, "name": name} for name, place in number.items()]
    return {"images": images, "annotations": annotations, "categories": categories}
