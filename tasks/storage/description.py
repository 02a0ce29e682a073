"""What a folder of exported data says of itself: a dataset card, and Croissant metadata.

The card is ``README.md`` with the front matter that the Hugging Face Hub reads. ``croissant.json``
follows Croissant 1.1 (http://mlcommons.org/croissant/1.1), in which search engines for data sets
and loaders of machine learning find the files, their digests and their fields.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starbench.tasks.base import Task
from starbench.tasks.card import SPLITS

CARD, CROISSANT = "README.md", "croissant.json"
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


@dataclass(frozen=True)
class Field:
    """A column of the exported rows.

    Attributes
    ----------
    name : str
    kind : str
        Type of its values: ``cr:Float32``, ``sc:Text`` and so on.
    meaning : str
    shape : tuple of int
        Of the array in a row; empty for one value.
    parts : tuple of Field
        Fields of a struct.
    """

    name: str
    kind: str
    meaning: str
    shape: tuple[int, ...] = ()
    parts: tuple["Field", ...] = ()


def describe(
    folder: Path,
    task: Task,
    scale: str,
    fields: Sequence[Field],
    suffix: str,
    *,
    is_shuffled: bool = False,
) -> None:
    """Write the card and the Croissant metadata of an exported folder.

    Parameters
    ----------
    folder : pathlib.Path
        Its files are complete.
    task : Task
    scale : str
    fields : sequence of Field
        Columns of a row; empty where the files are not tables.
    suffix : str
        Of the files of data: ``parquet``, one file for each split, or ``fits``, a folder for each.
    is_shuffled : bool
        Whether the order of the test spectra tells no twins.
    """
    card = _card(task, scale, fields, suffix)
    if is_shuffled:
        card += "\nThe test spectra are shuffled: the two of a row are not twins.\n"
    (folder / CARD).write_text(card, encoding="utf-8")
    content = _croissant(folder, task, scale, fields, suffix)
    (folder / CROISSANT).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _card(task: Task, scale: str, fields: Sequence[Field], suffix: str) -> str:
    sizes = task.sizes(scale)
    front = ["---", f"pretty_name: {json.dumps(task.name)}", "tags:", "- astronomy", "- spectra"]
    if suffix == "parquet":
        front += ["configs:", "- config_name: default", "  data_files:"]
        front += [f"  - split: {split}\n    path: {split}.parquet" for split in SPLITS]
    unit = "stars" if task.card.survey else "pairs"
    lines = [
        *(*front, "---", "", f"# {task.name}, version {task.version}, scale {scale}", ""),
        _summary(task),
        "",
        f"- reference: {task.reference}",
        f"- licence: {task.card.licence}",
        f"- fingerprint: {task.fingerprint(scale)}",
        f"- pixels: {len(task.wavelength)}, {task.wavelength[0]:.2f}-{task.wavelength[-1]:.2f} "
        f"{task.wavelength_unit}, {task.card.medium}",
        *(f"- {split}: {sizes[split]} {unit}" for split in SPLITS),
        "",
    ]
    if fields:
        lines += ["| column | in a row | meaning |", "| --- | --- | --- |"]
        lines += [
            f"| `{name}` | {' x '.join(map(str, field.shape)) or 'one value'} | {field.meaning} |"
            for name, field in _flat(fields)
        ]
        lines.append("")
    lines.append(
        "Written by `starbench data export`. "
        + (
            "`starbench data import` brings it into one file, which `starbench run --data` reads."
            if task.card.survey
            else "`starbench run --data` and `starbench data import` read it."
        )
    )
    return "\n".join(lines) + "\n"


def _summary(task: Task) -> str:
    names = ", ".join(
        f"{name} [{unit}]" if unit else name
        for name, unit in zip(task.nuisance_names, task.nuisance_units, strict=True)
    )
    what = (
        "Continuum-normalised spectra of stars, of which some are siblings: stars of one "
        "composition."
        if task.card.survey
        else "Continuum-normalised spectra in pairs of one composition."
    )
    return f"{what} The known factors that are not chemistry are {names}."


def _flat(fields: Sequence[Field]) -> list[tuple[str, Field]]:
    return [
        (name, part)
        for field in fields
        for name, part in (
            [(f"{field.name}.{part.name}", part) for part in field.parts] or [(field.name, field)]
        )
    ]


def _croissant(
    folder: Path, task: Task, scale: str, fields: Sequence[Field], suffix: str
) -> dict[str, Any]:
    name = f"{task.name}-{scale}"
    files = [_file(folder, split, suffix) for split in SPLITS]
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": name,
        "description": _summary(task),
        "datePublished": datetime.now(UTC).date().isoformat(),
        "version": f"{task.version}.0.0",
        "license": task.card.licence,
        "citeAs": task.reference,
        "keywords": ["astronomy", "stellar spectra", "disentanglement"],
        "distribution": [node for nodes in files for node in nodes],
    }
    if fields:
        content["recordSet"] = [
            {
                "@type": "cr:RecordSet",
                "@id": split,
                "name": split,
                "description": f"The {split} split.",
                "field": [_field(field, split, f"{split}.{suffix}") for field in fields],
            }
            for split in SPLITS
        ]
    return content


def _file(folder: Path, split: str, suffix: str) -> list[dict[str, Any]]:
    """Return the nodes of the files of a split: one file, or all files of a folder."""
    if suffix == "fits":
        return [
            {
                "@type": "cr:FileSet",
                "@id": f"{split}-{suffix}",
                "name": f"{split}-{suffix}",
                "description": f"One file for each star of {split}.",
                "encodingFormat": "application/fits",
                "includes": f"{split}/*.fits",
            }
        ]
    path = folder / f"{split}.{suffix}"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return [
        {
            "@type": "cr:FileObject",
            "@id": path.name,
            "name": path.name,
            "description": f"Rows of {split}.",
            "contentUrl": path.name,
            "contentSize": f"{path.stat().st_size} B",
            "encodingFormat": "application/x-parquet",
            "sha256": digest,
        }
    ]


def _field(field: Field, split: str, file: str) -> dict[str, Any]:
    node = _node(field, f"{split}/{field.name}")
    source = {"fileObject": {"@id": file}, "extract": {"column": field.name}}
    if not field.parts:
        return {**node, "source": source}
    node["subField"] = [
        {
            **_node(part, f"{split}/{field.name}/{part.name}"),
            "source": {**source, "transform": {"jsonPath": part.name}},
        }
        for part in field.parts
    ]
    return node


def _node(field: Field, identifier: str) -> dict[str, Any]:
    node: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": identifier,
        "name": field.name,
        "description": field.meaning,
    }
    if not field.parts:
        node["dataType"] = field.kind
    if field.shape:
        node |= {"isArray": True, "arrayShape": ",".join(map(str, field.shape))}
    return node
