"""Damages to HDF5 files and folders of Parquet, drawn from a seed."""

import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from starbench.tasks.base import SPLITS

Random = np.random.Generator
Edit = Callable[[h5py.File, Random], None]

N_PAIRS = dict(zip(SPLITS, (40, 20, 20), strict=True))
N_PIXELS = 30
TEXTS = h5py.string_dtype()


def write_pairs(path: Path, rng: Random) -> None:
    """Write sound pairs, in one of the ways in which HDF5 can store them."""
    storage = [{}, {"chunks": True, "compression": "gzip", "fletcher32": True}][rng.integers(2)]
    with h5py.File(path, "w", libver=["earliest", "latest"][rng.integers(2)]) as file:
        file["wavelength"] = np.linspace(15100.0, 16900.0, N_PIXELS)
        file["wavelength"].attrs["unit"] = "Angstrom"
        file.attrs["nuisance_names"] = ["Teff", "logg"]
        file.attrs["nuisance_units"] = ["K", "dex"]
        file.attrs["elements"] = ["Fe/H", "C/Fe", "Mg/Fe"]
        for split, n in N_PAIRS.items():
            for name, shape in (
                ("flux", (2, N_PIXELS)),
                ("nuisance", (2, 2)),
                ("composition", (3,)),
            ):
                values = rng.normal(1, 0.1, (n, *shape)).astype("f4")
                file.create_dataset(f"{split}/{name}", data=values, **storage)


def write_predictions(path: Path, rng: Random) -> None:
    """Write sound predictions for such pairs."""
    storage = [{}, {"chunks": True, "compression": "gzip", "shuffle": True}][rng.integers(2)]
    with h5py.File(path, "w") as file:
        places = {"latent": (20, 2, 4), "validation/latent": (20, 2, 4)}
        if rng.random() < 0.3:  # the probes, which are fitted to them, take most of the time
            places["train/latent"] = (40, 2, 4)
        for split in ("", "validation/"):
            for name in ("reconstruction", "swapped_reconstruction"):
                places[split + name] = (20, 2, N_PIXELS)
        for place, shape in places.items():
            file.create_dataset(place, data=rng.normal(1, 0.1, shape).astype("f4"), **storage)


def damage(path: Path, rng: Random, *, of_pairs: bool = True) -> str:
    """Damage a sound file in one way, sometimes in two; return what was done."""
    structure = STRUCTURE if of_pairs else ANY
    edits = [*BYTES] if rng.random() < 0.4 else [*structure]
    kinds = [edits[rng.integers(len(edits))] for _ in range(1 + (rng.random() < 0.2))]
    for kind in kinds:
        if kind in BYTES:
            path.write_bytes(BYTES[kind](bytearray(path.read_bytes()), rng))
            continue
        with h5py.File(path, "r+") as file:
            try:
                STRUCTURE[kind](file, rng)
            except (KeyError, TypeError, ValueError, OSError):
                if len(kinds) == 1:  # the first of two may have removed what the second needs
                    raise
    return " and ".join(kinds)


# What a faulty disk, a broken copy or a hex editor does to the bytes of a file.


def _flip(low: float, high: float) -> Callable[[bytearray, Random], bytes]:
    def flip(content: bytearray, rng: Random) -> bytes:
        for at in rng.integers(
            int(low * len(content)), int(high * len(content)), rng.integers(1, 9)
        ):
            content[at] ^= 1 << int(rng.integers(8))
        return bytes(content)

    return flip


def _metadata(content: bytearray) -> np.ndarray:
    """Return where a file holds structure: what stands within 256 bytes of a name of HDF5's."""
    signs = (b"\x89HDF", b"TREE", b"HEAP", b"SNOD", b"OHDR", b"OCHK", b"GCOL", b"FRHP", b"BTHD",
             b"BTLF", b"FHDB", b"unit", b"nuisance", b"elements", b"flux", b"latent")  # fmt: skip
    found = [match.start() for match in re.finditer(b"|".join(signs), content)]
    near = [np.arange(i, min(i + 256, len(content))) for i in found]
    return np.unique(np.concatenate(near)) if near else np.arange(len(content))


def _metadata_bytes(content: bytearray, rng: Random) -> bytes:
    for at in rng.choice(_metadata(content), rng.integers(1, 5)):
        content[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(256))])
    return bytes(content)


def _metadata_number(content: bytearray, rng: Random) -> bytes:
    at = int(rng.choice(_metadata(content))) // 8 * 8
    size = int(rng.choice([2, 4, 8]))
    number = int(rng.choice([0, 1, 2**15 - 1, 2**16 - 1, 2**31 - 1, 2**40, 2**62])) % 2 ** (
        8 * size
    )
    content[at : at + size] = number.to_bytes(size, "little")
    return bytes(content)


def _cut(content: bytearray, rng: Random) -> bytes:
    return bytes(content[: int(rng.integers(len(content)))])


def _zeros(content: bytearray, rng: Random) -> bytes:
    at, n = int(rng.integers(len(content))), int(rng.choice([16, 512, 4096]))
    content[at : at + n] = bytes(len(content[at : at + n]))
    return bytes(content)


def _moved(content: bytearray, rng: Random) -> bytes:
    one, other = (int(x) for x in rng.integers(0, max(1, len(content) - 512), 2))
    content[one : one + 512] = content[other : other + 512]
    return bytes(content)


def _longer(content: bytearray, rng: Random) -> bytes:
    return bytes(content) + rng.bytes(int(rng.integers(1, 5000)))


def _shifted(content: bytearray, rng: Random) -> bytes:
    at = int(rng.integers(len(content)))
    return bytes(content[:at] + rng.bytes(int(rng.integers(1, 9))) + content[at:])


BYTES: dict[str, Callable[[bytearray, Random], bytes]] = {
    "bits of the header flipped": _flip(0, 0.02),
    "bits flipped": _flip(0, 1),
    "bits of the end flipped": _flip(0.9, 1),
    "bytes of the structure replaced": _metadata_bytes,
    "bytes of the structure replaced, again": _metadata_bytes,
    "a number of the structure replaced": _metadata_number,
    "a number of the structure replaced, again": _metadata_number,
    "cut": _cut,
    "a block of zeros": _zeros,
    "a block copied elsewhere": _moved,
    "garbage at the end": _longer,
    "bytes inserted": _shifted,
}

# What programs write: sound HDF5 that is not what it should be.


def _places(file: h5py.File) -> list[str]:
    found: list[str] = []
    file.visititems(
        lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None
    )
    return found


def _any(file: h5py.File, rng: Random) -> str:
    return str(rng.choice(_places(file)))


def _taken(file: h5py.File, rng: Random) -> tuple[str, tuple[int, ...]]:
    """Remove a dataset; return its place and shape."""
    place = _any(file, rng)
    shape = file[place].shape
    del file[place]
    return place, shape or (1,)


def _type(file: h5py.File, rng: Random) -> None:
    place, shape = _taken(file, rng)
    types = ["i1", "u8", ">i4", "f2", ">f4", ">f8", "g", "S5", "c8", "V7", "?",
             np.dtype([("a", "f4"), ("b", "i4")]), np.dtype(("f4", (3,))), h5py.ref_dtype,
             h5py.regionref_dtype, TEXTS, h5py.vlen_dtype("f4"),
             h5py.enum_dtype({"a": 1})]  # fmt: skip
    file.create_dataset(place, shape, types[rng.integers(len(types))])


def _filled(file: h5py.File, rng: Random) -> None:
    place, shape = _taken(file, rng)
    if rng.random() < 0.5:
        file[place] = np.full(shape, ["text", "\x1b[2J", ""][rng.integers(3)], TEXTS)
    else:
        file.create_dataset(place, shape, h5py.ref_dtype)[...] = file.ref


def _shape(file: h5py.File, rng: Random) -> None:
    place, shape = _taken(file, rng)
    n, *rest = shape
    shapes = [(), shape[::-1], (*shape, 1), (1, *shape), shape[:-1], (0, *rest), (*shape[:-1], 0),
              (n + 1, *rest), (n - 1, *rest), (int(np.prod(shape)),)]  # fmt: skip
    new = shapes[rng.integers(len(shapes))]
    file[place] = rng.normal(1, 0.1, new).astype("f4")


def _null(file: h5py.File, rng: Random) -> None:
    place, _ = _taken(file, rng)
    file[place] = h5py.Empty("f4")


def _giant(file: h5py.File, rng: Random) -> None:
    place, shape = _taken(file, rng)
    axis = int(rng.integers(len(shape)))
    new = [*shape]
    new[axis] = int(rng.choice([10**7, 2**31, 2**40]))
    file.create_dataset(place, tuple(new), "f4", chunks=(1,) * len(shape))


def _giant_everywhere(file: h5py.File, rng: Random) -> None:
    """Declare very many pairs or pixels, without a contradiction."""
    n = int(rng.choice([10**6, 10**9, 2**40]))
    pixels = rng.random() < 0.3
    if pixels and "wavelength" in file:
        del file["wavelength"]
        file.create_dataset("wavelength", (n,), "f8", chunks=(1024,))
    for place in _places(file):
        if "/" not in place and place != "latent":
            continue
        shape = file[place].shape
        new = (*shape[:-1], n) if pixels else (n, *shape[1:])
        if not pixels or place.endswith(("flux", "latent", "reconstruction")):
            del file[place]
            file.create_dataset(place, new, "f4", chunks=(1, *shape[1:]))


def _wide_chunks(file: h5py.File, rng: Random) -> None:
    place, shape = _taken(file, rng)
    chunks = (int(rng.choice([10**5, 10**7])), *shape[1:])
    file.create_dataset(
        place, shape, "f4", chunks=chunks, maxshape=(None,) * len(shape), compression="gzip"
    )


def packed_zeros(n: int) -> bytes:
    """Return n times 16 MB of zeros, compressed in no time: one piece is repeated."""
    pack = zlib.compressobj(9)
    first, again = (pack.compress(bytes(2**24)) + pack.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + (n - 1) * again


def _bomb(file: h5py.File, rng: Random) -> None:
    """Store a chunk that unpacks to gigabytes, whatever size the file declares."""
    place, shape = _taken(file, rng)
    dataset = file.create_dataset(place, shape, "f4", chunks=shape, compression="gzip")
    dataset.id.write_direct_chunk((0,) * len(shape), packed_zeros(int(rng.choice([8, 200]))))


def _wrong_chunk(file: h5py.File, rng: Random) -> None:
    place, shape = _taken(file, rng)
    filters = {"compression": str(rng.choice(["gzip", "lzf"]))}
    dataset = file.create_dataset(place, shape, "f4", chunks=shape, shuffle=True, **filters)
    dataset.id.write_direct_chunk((0,) * len(shape), rng.bytes(int(rng.integers(1, 400))))


def _no_filter(file: h5py.File, rng: Random) -> None:
    place, shape = _taken(file, rng)
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_chunk(shape)
    layout.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))  # Zstandard, which is a plug-in
    space = h5py.h5s.create_simple(shape)
    group, name = file.require_group(place.rpartition("/")[0] or "/"), place.rpartition("/")[2]
    dataset = h5py.h5d.create(group.id, name.encode(), h5py.h5t.IEEE_F32LE, space, layout)
    dataset.write_direct_chunk((0,) * len(shape), rng.bytes(100))


def _holes(file: h5py.File, rng: Random) -> None:
    place, shape = _taken(file, rng)
    fill = float(rng.choice([0, np.nan, np.inf, 1e30]))
    file.create_dataset(place, shape, "f4", chunks=(1, *shape[1:]), fillvalue=fill)


def _link(file: h5py.File, rng: Random) -> None:
    place = str(rng.choice([*_places(file), *[name for name in SPLITS if name in file]]))
    links = [h5py.SoftLink(f"/{place}"), h5py.SoftLink("/nowhere"), h5py.SoftLink("/"),
             h5py.ExternalLink("other.h5", place), h5py.ExternalLink("/dev/zero", "x"),
             h5py.ExternalLink(file.filename, place)]  # fmt: skip
    del file[place]
    file[place] = links[rng.integers(len(links))]


def _loop(file: h5py.File, rng: Random) -> None:
    place = str(rng.choice([*_places(file), *[name for name in SPLITS if name in file]]))
    del file[place]
    file[place] = file["/"]


def _same(file: h5py.File, rng: Random) -> None:
    one, other = (str(x) for x in rng.choice(_places(file), 2, replace=False))
    del file[one]
    file[one] = file[other]


def _virtual(file: h5py.File, rng: Random) -> None:
    place, shape = _taken(file, rng)
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource(str(rng.choice(["other.h5", "."])), place, shape)
    file.create_virtual_dataset(place, layout)


def _outside(file: h5py.File, rng: Random) -> None:
    place, shape = _taken(file, rng)
    where = str(rng.choice(["/etc/passwd", "/dev/zero", "nowhere.bin"]))
    file.create_dataset(place, shape, "f4", external=[(where, 0, h5py.h5f.UNLIMITED)])


def _group(file: h5py.File, rng: Random) -> None:
    place, _ = _taken(file, rng)
    file.create_group(f"{place}/{place}")


def _array(file: h5py.File, rng: Random) -> None:
    split = str(rng.choice([name for name in SPLITS if name in file]))
    del file[split]
    file[split] = np.ones(3)


def _named_type(file: h5py.File, rng: Random) -> None:
    place, _ = _taken(file, rng)
    file[place] = np.dtype("f4")


def _numbers(file: h5py.File, rng: Random) -> None:
    places = [
        place for place in _places(file) if file[place].dtype.kind == "f" and file[place].size
    ]
    place = file[str(rng.choice(places))]
    values = place[()]
    odd = [np.nan, np.inf, -np.inf, 0, 1e38, -1e38, 1e-45, -9999, -1]
    at = tuple(int(rng.integers(n)) for n in place.shape)
    values[at if rng.random() < 0.5 else ...] = rng.choice(odd)
    place[...] = values


def _missing(file: h5py.File, rng: Random) -> None:
    del file[str(rng.choice([*_places(file), *[name for name in SPLITS if name in file]]))]


def _extra(file: h5py.File, rng: Random) -> None:
    names = [
        b"\x1b]0;title\x07",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"a\nb",
        b"x" * 5000,
        "é\u202e".encode(),
    ]
    for owner in (file, *[file[name] for name in SPLITS if isinstance(file.get(name), h5py.Group)]):
        h5py.h5g.create(owner.id, names[rng.integers(len(names))])
    for i in range(int(rng.choice([1, 3000]))):
        file.create_group(f"more/{i}")


def _deep(file: h5py.File, rng: Random) -> None:
    name = str(rng.choice([name for name in SPLITS if name in file] or ["x"]))
    file.create_group(f"{name}/" + "/".join("a" * 500))


def _attribute(file: h5py.File, rng: Random) -> None:
    name = str(rng.choice(["nuisance_names", "nuisance_units", "elements"]))
    owner, name = (file["wavelength"], "unit") if rng.random() < 0.25 else (file, name)
    nested = np.empty((2,), h5py.vlen_dtype("f4"))
    nested[:] = [np.ones(3, "f4"), np.ones(2, "f4")]
    values = [
        ["\x1b[31mTeff", "logg"], np.array([b"a\0b", b"\0"]), np.array([b"\xed\xa0\x80", b"\xff"]),
        ["", ""], ["a", "a"], ["Te\nff", "logg"], ["a" * 5000, "b"], "Teff", 3.5, [1, 2], np.nan,
        h5py.Empty("S5"), np.zeros((0, 2), "S1"), np.zeros((3, 3, 3), "S2"), [["a"], ["c"]],
        file.ref, np.array([file.ref, file.ref], h5py.ref_dtype), nested, np.zeros(2, "i4,f4"),
        np.zeros(2, "V5"), np.array([b"x" * 30_000, b"y"]), [f"n{i}" for i in range(2000)],
        ["\u202e", "\u200b"], ["=cmd()", "<script>"], ["a,b", "c|d"], ["../..", "/"],
        np.array(["x", "y"], TEXTS), 1 + 2j, True,
    ]  # fmt: skip
    owner.attrs[name] = values[rng.integers(len(values))]


def _attribute_removed(file: h5py.File, rng: Random) -> None:
    del file.attrs[str(rng.choice([*file.attrs]))]


def _many_attributes(file: h5py.File, rng: Random) -> None:
    for i in range(3000):
        file.attrs[f"a{i}"] = i


ANY: dict[str, Edit] = {
    "another type": _type,
    "another type, again": _type,
    "texts or references": _filled,
    "another shape": _shape,
    "another shape, again": _shape,
    "no shape": _null,
    "a giant dataset": _giant,
    "giant splits": _giant_everywhere,
    "wide chunks": _wide_chunks,
    "a chunk that unpacks to gigabytes": _bomb,
    "a chunk of garbage": _wrong_chunk,
    "an unknown filter": _no_filter,
    "chunks never written": _holes,
    "a link": _link,
    "a link, again": _link,
    "a loop": _loop,
    "one dataset in two places": _same,
    "a virtual dataset": _virtual,
    "external storage": _outside,
    "a group for a dataset": _group,
    "an array for a split": _array,
    "a named type for a dataset": _named_type,
    "odd numbers": _numbers,
    "odd numbers, again": _numbers,
    "a part missing": _missing,
    "odd names": _extra,
    "deep groups": _deep,
}
OF_PAIRS: dict[str, Edit] = {
    "an odd attribute": _attribute,
    "an odd attribute, again": _attribute,
    "an odd attribute, once more": _attribute,
    "an attribute missing": _attribute_removed,
    "many attributes": _many_attributes,
}
STRUCTURE = ANY | OF_PAIRS


# Folders of Parquet files, and of `datasets`.

ABOUT = {
    "wavelength": np.linspace(15100.0, 16900.0, N_PIXELS).tolist(),
    "nuisance_names": ["Teff", "logg"],
    "nuisance_units": ["K", "dex"],
    "elements": ["Fe/H", "C/Fe", "Mg/Fe"],
}
Column = list[object] | pa.Array
Columns = dict[str, Column]


def write_folder(folder: Path, rng: Random) -> None:
    """Write sound pairs as a folder: Parquet, or that of `DatasetDict.save_to_disk`."""
    tables = {}
    for split, n in N_PAIRS.items():
        shapes = {"flux": (n, 2, N_PIXELS), "nuisance": (n, 2, 2), "composition": (n, 3)}
        columns = {
            k: rng.normal(1, 0.1, shape).astype("f4").tolist() for k, shape in shapes.items()
        }
        columns["starbench"] = [json.dumps(ABOUT), *[None] * (n - 1)]
        tables[split] = _table(columns)
    folder.mkdir()
    if rng.random() < 0.7:
        for split, table in tables.items():
            pq.write_table(table, folder / f"{split}.parquet", compression="gzip")
        return
    import datasets

    splits = {split: datasets.Dataset(table) for split, table in tables.items()}
    datasets.disable_progress_bars()
    datasets.DatasetDict(splits).save_to_disk(str(folder))


def _table(columns: Columns) -> pa.Table:
    single = pa.list_(pa.float32())
    types = {"flux": pa.list_(single), "nuisance": pa.list_(single), "composition": single}
    return pa.table(
        {
            name: x if isinstance(x, pa.Array) else pa.array(x, types.get(name))
            for name, x in columns.items()
        }
    )


def damage_folder(folder: Path, rng: Random) -> str:
    """Damage one file of a sound folder; return what was done."""
    if rng.random() < 0.35 or (folder / "dataset_dict.json").exists():
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        path = files[rng.integers(len(files))]
        if path.suffix == ".json":
            text = path.read_text()
            kind, name = (
                rng.choice(["object", "\\u0000", "int8"]),
                rng.choice(["Image", "x", "Value"]),
            )
            texts = ["", "[" * 10**5, "{}", "[]", "null", '{"splits": 3}', '{"splits": ["../.."]}',
                     text.replace("float32", str(kind)), text.replace("List", str(name)),
                     text.replace("data-0", "../data-0")]  # fmt: skip
            path.write_text(texts[rng.integers(len(texts))])
            return f"{path.name} rewritten"
        kind = [*BYTES][rng.integers(len(BYTES))]
        path.write_bytes(BYTES[kind](bytearray(path.read_bytes()), rng))
        return f"{path.name}: {kind}"
    split = SPLITS[rng.integers(3)]
    path = folder / f"{split}.parquet"
    columns: Columns = pq.read_table(path).to_pydict()
    if rng.random() < 0.5:
        split, path = "train", folder / "train.parquet"
        columns = pq.read_table(path).to_pydict()
        texts = _metadata_texts()
        kind = [*texts][rng.integers(len(texts))]
        columns["starbench"] = [texts[kind], *[None] * (N_PAIRS[split] - 1)]
    else:
        name = str(rng.choice(["flux", "nuisance", "composition"]))
        odd = _odd_columns(columns[name], rng)
        kind = [*odd][rng.integers(len(odd))]
        if odd[kind] is None:
            del columns[name]
        else:
            columns[name] = odd[kind]
        kind = f"{name}: {kind}"
    pq.write_table(_table(columns), path)
    return f"{split}, {kind}"


def _metadata_texts() -> dict[str, str]:
    def changed(**changes: object) -> str:
        return json.dumps({**ABOUT, **changes})

    return {
        "not JSON": "{",
        "nested metadata": "[" * 10**5,
        "nested names": '{"wavelength": [1], "nuisance_names": ' + "[" * 900 + "]" * 900 + "}",
        "NUL in a name": changed(nuisance_names=["Te\0ff", "logg"]),
        "a surrogate in a name": changed(nuisance_names=["\ud800", "logg"]),
        "a surrogate in an element": changed(elements=["\udfff", "a", "b"]),
        "a terminal escape in a unit": changed(nuisance_units=["\x1b[2J", "K"]),
        "a surrogate in the unit of wavelengths": changed(wavelength_unit="\ud83d"),
        "a list for the unit of wavelengths": changed(wavelength_unit=["\x1b"]),
        "a wavelength that float64 does not hold": changed(wavelength=[10**400, *range(29)]),
        "a wavelength of NaN": changed(wavelength=[float("nan")] * N_PIXELS),
        "wavelengths of true": changed(wavelength=[True] * N_PIXELS),
        "no wavelengths": changed(wavelength=[]),
        "a million wavelengths": changed(wavelength=list(range(1_100_000))),
        "no names": changed(nuisance_names=[], nuisance_units=[]),
        "units too few": changed(nuisance_units=["K"]),
        "names twice": changed(nuisance_names=["a", "a"]),
        "elements too many": changed(elements=["x"] * 1000),
        "a long number": '{"wavelength": [' + "9" * 10_000 + "]}",
        "a number for metadata": "3",
        "an empty text": "",
    }


def _odd_columns(column: Column, rng: Random) -> dict[str, Column | None]:
    n = len(column)
    values = np.array(column, "f4")
    return {
        "missing": None,
        "texts": ["\x1b[31m"] * n,
        "numbers": pa.array(rng.normal(size=n)),
        "whole numbers": pa.array(values.astype(int).tolist()),
        "nulls": pa.array([None] * n),
        "a null among them": [None, *column[1:]],
        "a null inside": pa.array([[None], *values[1:].tolist()]) if values.ndim == 2 else
            pa.array([[None, None], *values[1:].tolist()]),
        "shorter": values[:, :-1].tolist(),
        "of other lengths": [values[0, :-1].tolist(), *values[1:].tolist()],
        "deeper": pa.array(values[..., None].tolist()),
        "empty": pa.array([[]] * n),
        "float64": pa.array(values.astype("f8").tolist()),
        "float16": pa.array([x.ravel() for x in values.astype("f2")], pa.list_(pa.float16())),
        "decimals": pa.array([[1]] * n, pa.list_(pa.decimal128(5))),
        "times": pa.array([[1]] * n, pa.list_(pa.timestamp("us"))),
        "structures": pa.array([{"a": 1}] * n),
        "bytes": pa.array([x.tobytes() for x in values]),
        "a dictionary of texts": pa.array(["x"] * n).dictionary_encode(),
        "fixed lists": pa.FixedSizeListArray.from_arrays(
            pa.array(values.ravel()), values[0].size),
        "not finite": np.full_like(values, np.nan).tolist(),
        "huge": np.full(values.shape, 1e38).tolist(),
    }  # fmt: skip
