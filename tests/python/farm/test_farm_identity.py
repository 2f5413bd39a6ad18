"""Keys of items and names of functions."""

import datetime
import decimal
import enum
import fractions
import functools
import pathlib
import subprocess
import sys
from dataclasses import dataclass

import pytest

from dolmen.farm._identity import Keys, digest, function_name, item_text


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Point:
    x: float
    name: str = "p"

    def value(self, scale):
        return self.x * scale


def distinct():
    values = [None, True, False, 0, 1, 1.0, "1", b"1", 1j, -1, "", (), [], {}, frozenset(), (1,), [1], {1}, {"a": 1}, {"a": 2}, (1, (2,))]
    values += [((1,), 2), Color.RED, Color.BLUE, Point(1.0), Point(2.0), datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2)]
    values += [decimal.Decimal("1"), fractions.Fraction(1, 2), range(3), range(4), len, max, Point, pathlib]
    values += [("ab", "c"), ("a", "bc"), functools.partial(max, 1), functools.partial(max, 2)]
    return values


def test_different_values_have_different_digests():
    values = distinct()
    assert len({digest(value) for value in values}) == len(values)


def test_arrays_are_told_apart_by_type_shape_and_values():
    np = pytest.importorskip("numpy")
    values = [np.arange(4), np.arange(4.0), np.arange(4).reshape(2, 2), np.arange(4) + 1, np.float64(1), np.float32(1), np.array(None)]
    assert len({digest(value) for value in values}) == len(values)
    assert digest(np.arange(4)[::2]) == digest(np.array([0, 2]))


def test_the_digest_does_not_depend_on_identity_order_or_process():
    name = "".join(["a", "b"])
    assert digest((name, name)) == digest(("ab", "".join(["a", "b"])))
    assert digest({"x": 1, "y": 2}) == digest({"y": 2, "x": 1})
    assert digest(pathlib.Path("a/b")) == digest("a/b")
    code = "from dolmen.farm._identity import digest; print(digest(({'u', 'v', 'w'}, {'k': 1.5}, (1, None))).hex())"
    hexes = {subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, env=None).stdout for _ in range(3)}
    assert hexes == {digest(({"u", "v", "w"}, {"k": 1.5}, (1, None))).hex().encode() + b"\n"}


def test_equal_items_are_counted():
    keys = Keys(None)
    assert len({keys.of(index, item) for index, item in enumerate(["a", "a", "b", "a"])}) == 4
    again = Keys(None)
    assert again.of(0, "b") == Keys(None).of(0, "b")


def test_names_of_functions():
    assert function_name(distinct) == "test_farm_identity:distinct"
    assert function_name(len) == "builtins:len"
    assert function_name(Point(1.0).value) == function_name(Point(1.0).value) != function_name(Point(2.0).value)
    assert function_name("a".join) != function_name("b".join)

    def closure(step):
        return lambda x: x + step

    assert function_name(closure(1)) == function_name(closure(1)) != function_name(closure(2))
    assert function_name(lambda x: x + 1) != function_name(lambda x: x + 2)
    assert function_name(functools.partial(distinct, 1)).startswith("test_farm_identity:distinct(")


def test_items_are_shortened_to_one_line():
    assert item_text(pathlib.Path("a b.fits")) == "a b.fits"
    assert item_text(("x", 1)) == "('x', 1)"
    assert len(item_text("y" * 500)) == 120
    assert item_text("two\nlines") == "two lines"
