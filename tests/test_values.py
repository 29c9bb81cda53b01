"""Values without `dataclasses`: what they promise of it, side by side with it."""

from __future__ import annotations

import dataclasses
import pickle

import pytest

from devenv.values import replaced, value


@value(frozen=True)
class Ours:
    one: str
    two: int = 2


@dataclasses.dataclass(frozen=True)
class Theirs:
    one: str
    two: int = 2


@value(frozen=True, kw_only=True)
class Named:
    one: str


def test_they_are_made_compared_and_shown_as_dataclasses_are() -> None:
    for made in (("a",), ("a", 3)):
        assert repr(Ours(*made)) == repr(Theirs(*made)).replace("Theirs", "Ours")
        assert vars(Ours(*made)) == vars(Theirs(*made))
    assert Ours("a") == Ours(one="a", two=2)
    assert Ours("a") != Ours("b")
    other: object = Theirs("a")
    assert Ours("a") != other
    assert len({Ours("a"), Ours("a"), Ours("b")}) == 2
    assert pickle.loads(pickle.dumps(Ours("a"))) == Ours("a")


@pytest.mark.parametrize("given", [(), ("a", 1, 2)])
@pytest.mark.parametrize("cls", [Ours, Theirs])
def test_wrong_numbers_of_fields_are_refused(cls: type, given: tuple[object, ...]) -> None:
    with pytest.raises(TypeError):
        cls(*given)


@pytest.mark.parametrize("named", [{"one": "a", "nope": 1}, {"two": 1}])
def test_wrong_names_are_refused(named: dict[str, object]) -> None:
    for cls in (Ours, Theirs):
        with pytest.raises(TypeError):
            cls(**named)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Ours("a", one="b")  # type: ignore[misc]
    with pytest.raises(TypeError):
        Named("a")  # type: ignore


def test_they_cannot_be_changed() -> None:
    made = Ours("a")
    with pytest.raises(AttributeError, match="cannot be changed"):
        made.one = "b"  # type: ignore[misc]
    assert made.one == "a"


def test_one_is_made_like_another() -> None:
    before = Ours("a", 5)
    assert vars(replaced(before, one="b")) == vars(dataclasses.replace(Theirs("a", 5), one="b"))
    assert before == Ours("a", 5)
    with pytest.raises(TypeError):
        replaced(before, nope=1)
