"""What h5py writes is read with its types and shapes, and the other way round; the rest is refused by name."""

import re

import numpy as np
import pytest

import dolmen as dm

h5py = pytest.importorskip("h5py")

COLORS = {"RED": 0, "BLUE": 1}
TABLE = np.array(
    [(1, 2.5, b"ab", True, 1j, [1, 2]), (-2, 0.5, b"", False, 2.0, [3, 4])],
    dtype=[("number", "i4"), ("value", "f8"), ("name", "S4"), ("good", "?"), ("gain", "c16"), ("pair", "i2", (2,))],
)
#: Values that both libraries write and read.
VALUES = {
    "bool": True,
    "int": -3,
    "large": 2**64 - 1,
    "float": 0.1,
    "nan": float("nan"),
    "complex": 1 + 2j,
    "text": "grüße",
    "no text": "",
    "bools": np.array([True, False]),
    "one": np.array([1.5]),
    "two dimensions": np.arange(6.0).reshape(2, 3),
    "integers": np.arange(6, dtype="i2").reshape(3, 2),
    "single": np.ones(2, "f4"),
    "unsigned": np.array([2**64 - 1], "u8"),
    "complexes": np.array([[1j, 2]]),
    "complex single": np.array([1j], "c8"),
    "bytes": np.array([b"a", b"abc"]),
    "nothing": np.zeros((0, 2)),
    "table": TABLE,
}


def on_first(write, path):
    """Write a file with h5py on rank 0."""
    with dm.world.agreeing():
        if dm.world.rank == 0:
            with h5py.File(path, "w") as file:
                write(file)


def check_first(check, path):
    """Read a file with h5py on rank 0."""
    with dm.world.agreeing():
        if dm.world.rank == 0:
            with h5py.File(path, "r") as file:
                check(file)


def same(found, expected, name):
    """Require type, shape and entries of an array, or the type and the value of a number or a string."""
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype and found.shape == expected.shape, name
        np.testing.assert_array_equal(found, expected)
    else:
        assert type(found) is type(expected), name
        np.testing.assert_equal(found, expected)


def test_attributes_of_h5py_are_read(in_shared_folder):
    def write(file):
        group = file.create_group("g")
        for place in (file, group, group.create_dataset("x", data=[1.0])):
            for name, value in VALUES.items():
                place.attrs[name] = value
        more = file.attrs
        more["texts"] = np.array([["a", "é"], ["", "d"]], dtype=object)
        more["fixed"] = np.bytes_("fixed")
        more.create("color", 1, dtype=h5py.enum_dtype(COLORS, basetype="i4"))
        more["big"] = np.arange(3, dtype=">f8")
        more["half"] = np.float16(0.5)
        more["row"] = TABLE[0]
        more["long"] = np.longdouble(1.5)
        more["empty"] = h5py.Empty("f4")
        more["empty text"] = h5py.Empty(h5py.string_dtype())
        more["reference"] = group.ref

    on_first(write, "a.h5")
    with dm.File("a.h5") as file:
        for attrs in (file.attrs, file["g"].attrs, file["g/x"].attrs):
            for name, value in VALUES.items():
                same(attrs[name], value, name)
        attrs = file.attrs
        same(attrs["texts"], np.array([["a", "é"], ["", "d"]], dtype=object), "texts")
        same(attrs["fixed"], "fixed", "fixed")
        same(attrs["color"], 1, "color")
        same(attrs["big"], np.arange(3.0), "big")
        same(attrs["half"], 0.5, "half")
        same(attrs["long"], 1.5, "long")
        assert attrs["row"] == TABLE[0] and attrs["row"].dtype == TABLE.dtype
        assert attrs["empty"] == dm.Empty("f4") == h5py.Empty("f4") and attrs["empty text"].dtype == object
        with pytest.raises(dm.FileError, match="a.h5: attribute reference of /: .* a reference"):
            attrs["reference"]
        assert attrs.get("missing", 3) == 3


def test_h5py_reads_attributes(in_shared_folder):
    values = {
        **VALUES,
        "texts": np.array([["a", "é"], ["", "d"]], dtype=object),
        "list": ["a", "b"],
        "numbers": [1, 2.5],
        "empty": dm.Empty("f4"),
        "theirs": h5py.Empty("i8"),
        "numpy": np.float32(0.1),
    }
    with dm.File("b.h5", "w") as file:
        file["x"] = dm.ones(3)
        for attrs in (file.attrs, file.attrs("x")):
            attrs.update(values)
            attrs["int"] = 5
            attrs["int"] = -3

    def check(file):
        for attrs in (file.attrs, file["x"].attrs):
            for name, value in VALUES.items():
                found = attrs[name]
                same(found.item() if isinstance(found, np.generic) and not isinstance(value, np.ndarray) else found, value, name)
            same(attrs["texts"], values["texts"], "texts")
            same(attrs["list"], np.array(["a", "b"], dtype=object), "list")
            same(attrs["numbers"], np.array([1, 2.5]), "numbers")
            assert attrs["empty"] == h5py.Empty("f4") and attrs["theirs"] == h5py.Empty("i8")
            assert attrs["numpy"].dtype == np.float32

    check_first(check, "b.h5")
    with dm.File("b.h5") as file:
        for name, value in VALUES.items():
            same(file.attrs[name], value, name)
        assert file.attrs["theirs"] == dm.Empty("i8")


def test_values_that_attributes_cannot_hold(in_shared_folder):
    first = dm.world.rank == 0
    with dm.File("c.h5", "w") as file:
        for wrong, kind, text in [
            (None, TypeError, "a NoneType is not stored"),
            ({"a": 1}, TypeError, "a dict is not stored"),
            (2**70, ValueError, "more than 64 bits"),
            ([[1], [2, 3]], ValueError, ""),
            (np.float16(1), TypeError, "float16 is not stored"),
            (np.datetime64("2020-01-01"), TypeError, "datetime64"),
            (np.array([None]), TypeError, "object is not stored"),
            ("a\0b", ValueError, "zero character"),
            ("\ud800", ValueError, "surrogate"),
        ]:
            with pytest.raises(kind, match=f"^c.h5: attribute units of /: .*{text}"):
                file.attrs["units"] = wrong if first else 1
        if dm.world.size > 1:
            with pytest.raises(dm.RanksDisagreeError, match="attribute units of /"):
                file.attrs["units"] = dm.world.rank


@pytest.fixture(params=[{}, {"chunks": (2,)}, {"chunks": (2,), "compression": "gzip"}], ids=["whole", "chunks", "gzip"])
def storage(request):
    return request.param


DATASETS = {
    "bools": np.array([True, False, True, True, False]),
    "bytes": np.array([b"a", b"abc", b"", b"d", b"e"]),
    "table": np.concatenate([TABLE, TABLE, TABLE[:1]]),
    "half": None,
    "complex": np.arange(5) * 1j,
}


def test_datasets_of_h5py_are_read(in_shared_folder, storage):
    color = h5py.enum_dtype(COLORS, basetype="u1")
    texts = np.array(["a", "é", "", "long text", "b"], dtype=object)
    padded = np.zeros(5, dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True))
    padded["b"] = np.arange(5)

    def write(file):
        for name, value in DATASETS.items():
            if value is not None:
                file.create_dataset(name, data=value, **storage)
        file.create_dataset("texts", data=texts, dtype=h5py.string_dtype(), **storage)
        file.create_dataset("color", data=np.array([0, 1, 1, 0, 1]), dtype=color, **storage)
        file.create_dataset("padded", data=padded, **storage)
        file.create_dataset("big", data=np.arange(5, dtype=">i2"), **storage)
        file.create_dataset("half", data=np.arange(5, dtype="f2"), **storage)
        file.create_dataset("lists", (5,), h5py.vlen_dtype("f8"), **storage)
        file["empty"] = h5py.Empty("f4")
        file["scalar"] = True
        file["scalar text"] = "one"

    on_first(write, "d.h5")
    rank = dm.world.rank
    part = slice(rank, min(5, rank + 2)) if rank < 4 else slice(0, 0)
    with dm.File("d.h5") as file:
        expected = {**DATASETS, "half": np.arange(5, dtype="f2"), "texts": texts, "color": np.array([0, 1, 1, 0, 1], "u1")}
        for name, value in {**expected, "big": np.arange(5, dtype="i2")}.items():
            same(file[name][:], value, name)
            same(file[name][part], value[part], name)
        np.testing.assert_array_equal(file["padded"][:]["b"], np.arange(5.0))
        assert file["bools"].dtype == bool and file["table"].dtype == TABLE.dtype and file["texts"].dtype == object
        for column in TABLE.dtype.names:
            if column != "pair":
                same(file["table"].read_slab([1], [3], field=column), np.ascontiguousarray(DATASETS["table"][1:4][column]), column)
        assert file["bools"].read().sum() == 3 and file["scalar"][()] == True and file["scalar text"][()] == "one"  # noqa: E712
        with pytest.raises(TypeError, match="d.h5: lists: elements of type of variable length"):
            file["lists"][:]
        with pytest.raises(dm.FileError, match="dataset empty: is empty"):
            file["empty"]
        with pytest.raises(dm.FileError, match="dataset texts: .* variable length"):
            file["texts"].read()


def test_h5py_reads_datasets(in_shared_folder, storage):
    layout = dm.Layout(5)
    own = layout.range
    with dm.File("e.h5", "w") as file:
        for name, value in DATASETS.items():
            if value is not None:
                file.write(f"whole/{name}", value, **storage)
                d = file.create_dataset(f"slabs/{name}", 5, value.dtype, **storage)
                d[own.start : own.stop] = value[own.start : own.stop]
        file.write("texts", ["a", "é", "", "d", "e"], **storage)
        d = file.create_dataset("names", 5, "S2", **storage)
        d.write(own, ["é"] * len(own))
        with pytest.raises(ValueError, match="names: a string of 4 bytes does not fit into a dataset of strings of 2 bytes"):
            d.write(own, ["éé"] * len(own))

    def check(file):
        for name, value in DATASETS.items():
            if value is not None:
                same(file[f"whole/{name}"][:], value, name)
                same(file[f"slabs/{name}"][:], value, name)
        assert list(file["texts"].asstr()[:]) == ["a", "é", "", "d", "e"]
        assert list(file["names"].asstr("utf-8")[:]) == ["é"] * 5

    check_first(check, "e.h5")


def test_datasets_that_are_refused(in_shared_folder):
    own = dm.Layout(4).range
    with dm.File("f.h5", "w") as file:
        for wrong in (np.ones(2, "f2"), np.ones(2, "f16"), np.zeros(2, "M8[s]"), np.array([None])):
            with pytest.raises(TypeError, match=re.escape(f"x: the type {wrong.dtype} is not stored")):
                file["x"] = wrong
        with pytest.raises(TypeError, match="x: the type object is not stored; .* strings such as S16"):
            file.create_dataset("x", 4, h5py.string_dtype())
        bools = file.create_dataset("bools", 4, bool)
        table = file.create_dataset("table", 4, TABLE.dtype)
        for write, kind, text in [
            (lambda: bools.write(own, np.full(len(own), 2)), ValueError, "bools: a value does not fit into bool"),
            (lambda: table.write(own, np.zeros(len(own))), TypeError, "table: an array with columns None does not fit"),
        ]:
            with pytest.raises(kind, match=text):
                write()
