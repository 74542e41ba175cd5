"""`step`: one event in, a new node and its effects out; nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlab.core.errors import BadValue, HandlerRaised, UndeclaredField, UnhandledMessage
from clusterlab.core.node import (
    CancelTimer,
    Deliver,
    Effect,
    Env,
    Fire,
    Message,
    Node,
    Note,
    Save,
    Send,
    SetTimer,
    Start,
    Timer,
    durable,
    restart,
    run_in_place,
    step,
    volatile,
    write,
)
from clusterlab.core.values import Splice, apply_change


class Do(Message):
    """Runs `ACTION` in a handler, so that each test says for itself what its handler does."""


class Stop(Message):
    pass


class Tick(Timer):
    number: int = 0


class Point(NamedTuple):
    x: int
    y: int


class Puppet(Node):
    friends: tuple[str, ...] = ("n2", "n3")
    number: int = durable(0)
    log: tuple[Any, ...] = durable(())
    table: dict[str, Any] = durable({})
    items: list[Any] = durable([])
    names: set[str] = durable(set())
    place: Point = durable(Point(0, 0))
    memory: dict[str, Any] = volatile({})

    def on_do(self, src: str, m: Do) -> None:
        ACTION(self)

    def on_tick(self, t: Tick) -> None:
        self.number = t.number


def nothing(node: Puppet) -> None:
    pass


ACTION: Callable[[Puppet], object] = nothing


def act(node: Puppet, action: Callable[[Puppet], object], env: Env | None = None) -> Any:
    global ACTION  # noqa: PLW0603 - the hand in the puppet
    ACTION = action
    try:
        return step(node, Deliver("n2", Do()), env)
    finally:
        ACTION = nothing


def effects(action: Callable[[Puppet], object], **fields: Any) -> tuple[Effect, ...]:
    node = Puppet("n1")
    for name, value in fields.items():
        setattr(node, name, value)
    return act(node, action).effects  # type: ignore[no-any-return]


def error_of(action: Callable[[Puppet], object]) -> str:
    with pytest.raises(Exception, match=r".") as error:
        effects(action)
    return f"{type(error.value).__name__}: {error.value}"


# --- purity ---


def test_a_step_leaves_the_node_as_it_was() -> None:
    node = Puppet("n1")

    def change_everything(n: Puppet) -> None:
        n.number, n.log, n.place = 1, (1,), Point(1, 1)
        n.table["a"] = [1]
        n.items.append(1)
        n.names.add("x")
        n.memory["m"] = 1

    after = act(node, change_everything).node

    assert node.state() == Puppet("n1").state()
    assert after.state() == {
        "number": 1,
        "log": (1,),
        "table": {"a": [1]},
        "items": [1],
        "names": {"x"},
        "place": Point(1, 1),
        "memory": {"m": 1},
    }


def test_what_is_nested_is_not_shared_either() -> None:
    node = Puppet("n1")
    node.table["a"] = {"b": [1]}

    act(node, lambda n: n.table["a"]["b"].append(2))

    assert node.table == {"a": {"b": [1]}}


def test_in_place_the_node_itself_changes() -> None:
    node = Puppet("n1")

    made = run_in_place(node, Fire(Tick(7)), Env())

    assert (node.number, made) == (7, [Save({"number": 7})])


# --- events find their handlers by name ---


def test_start_and_fire_and_deliver() -> None:
    started = step(Puppet("n1"), Start())
    fired = step(Puppet("n1"), Fire(Tick(3)))

    assert started.effects == ()
    assert fired.effects == (Save({"number": 3}),)


def test_a_message_class_that_was_defined_anew_still_finds_the_handler() -> None:
    """A notebook cell that is run again makes a new class of the same name."""
    old = Do

    class Do_(Message):  # noqa: N801 - stands for the second `class Do(Message)` of a notebook
        pass

    Do_.__name__ = "Do"
    assert Do_ is not old

    assert step(Puppet("n1"), Deliver("n2", Do_())).effects == ()


def test_a_message_without_a_handler_is_an_error() -> None:
    with pytest.raises(UnhandledMessage) as error:
        step(Puppet("n1"), Deliver("n9", Stop()))

    assert str(error.value) == (
        "Puppet n1 got Stop() from n9 but has no on_stop: add `def on_stop(self, src, m): ...` "
        "to Puppet, or send it to someone else."
    )


def test_a_timer_without_a_handler_is_an_error() -> None:
    class Other(Timer):
        pass

    with pytest.raises(UnhandledMessage) as error:
        step(Puppet("n1"), Fire(Other()))

    assert str(error.value) == (
        "Puppet n1 set Other() but has no on_other: add `def on_other(self, t): ...` to Puppet."
    )


def test_on_message_may_see_every_message_first() -> None:
    class Nosy(Puppet):
        seen: int = volatile(0)

        def on_message(self, src: str, m: Message) -> None:
            self.seen += 1
            super().on_message(src, m)

    assert step(Nosy("n1"), Deliver("n2", Do())).node.state()["seen"] == 1


# --- effects ---


def test_effects_come_in_order_and_the_save_first() -> None:
    def all_of_them(n: Puppet) -> None:
        n.send("n2", Do())
        n.set_timer(Tick(), 5)
        n.number = 1
        n.note("hello", (1, 2))
        n.cancel_timer(Tick())
        n.broadcast(Stop(), n.friends)
        n.number = 2

    assert effects(all_of_them) == (
        Save({"number": 2}),
        Send("n2", Do()),
        SetTimer(Tick(), 5),
        Note("hello", (1, 2)),
        CancelTimer(Tick()),
        Send("n2", Stop()),
        Send("n3", Stop()),
    )


def test_a_set_is_broadcast_to_in_the_order_of_names() -> None:
    sent = effects(lambda n: n.broadcast(Do(), {"n9", "n10", "n1"}))

    assert [e.dst for e in sent if isinstance(e, Send)] == ["n1", "n10", "n9"]


def test_clock_and_choice_come_from_the_environment() -> None:
    class Last(Env):
        def choose(self, options: Any) -> Any:
            return options[-1]

    def look(n: Puppet) -> None:
        n.memory["seen"] = (n.now_ms, n.choose([1, 2, 3]))

    node = Puppet("n1")
    assert act(node, look, Last(42)).node.memory == {"seen": (42, 3)}
    assert act(node, look).node.memory == {"seen": (0, 1)}


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (
            lambda n: n.send("n2", "hello"),
            (
                "BadValue: Puppet n1 sends 'hello' to n2, which is not a message: "
                "write `class Str(Message):` with its fields, and send one of those."
            ),
        ),
        (
            lambda n: n.set_timer("wake", 5),
            (
                "BadValue: Puppet n1 sets a timer with 'wake': write `class str(Timer)` "
                "and set one of those."
            ),
        ),
        (
            lambda n: n.set_timer(Tick(), -1),
            (
                "BadValue: Puppet n1 sets Tick(number=0) for -1 ms: give a number of at least 0, "
                "or a range (low, high)."
            ),
        ),
        (
            lambda n: n.set_timer(Tick(), (9, 3)),
            (
                "BadValue: Puppet n1 sets Tick(number=0) for (9, 3) ms: give a number "
                "of at least 0, or a range (low, high)."
            ),
        ),
        (
            lambda n: n.choose({1, 2}),
            (
                "BadValue: Puppet n1 chooses from {1, 2}: give a list or tuple with at least one "
                "option (a set has no order; sort it first)."
            ),
        ),
        (
            lambda n: n.choose([]),
            (
                "BadValue: Puppet n1 chooses from []: give a list or tuple with at least one "
                "option (a set has no order; sort it first)."
            ),
        ),
    ],
    ids=["no message", "no timer", "negative", "backwards", "set", "empty"],
)
def test_wrong_arguments_are_said(action: Callable[[Puppet], object], said: str) -> None:
    assert error_of(action) == said


def test_a_message_that_can_still_change_is_refused() -> None:
    class Parcel(Message):
        items: Any

    said = error_of(lambda n: n.send("n2", Parcel([1])))

    assert said == (
        "BadValue: Puppet n1 sends Parcel(items=[1]) to n2, but a message's fields must be "
        "hashable (unhashable type: 'list'): use a tuple instead of a list, "
        "and tuple(sorted(...)) of a set or a dict's items."
    )


# --- errors in handlers ---


def test_reading_an_undeclared_field_says_which_line_to_add() -> None:
    said = error_of(lambda n: n.colour)  # type: ignore[attr-defined]

    assert said == (
        "UndeclaredField: Puppet reads self.colour, but declares no such field: add the line "
        "`colour: ... = durable(...)` to the class if it must survive a crash, "
        "or `colour: ... = volatile(...)` if not."
    )


def test_a_misspelt_method_is_named() -> None:
    said = error_of(lambda n: n.sned("n2", Do()))  # type: ignore[attr-defined]

    assert said.startswith("UndeclaredField: Puppet reads self.sned, but declares no such field")
    assert said.endswith("Or did you mean `send`?")


def test_assigning_an_undeclared_field_in_a_handler() -> None:
    def assign(n: Puppet) -> None:
        n.colour = "red"  # type: ignore[attr-defined]

    assert error_of(assign).startswith("UndeclaredField: Puppet assigns self.colour")


def test_an_exception_in_a_handler_names_the_line() -> None:
    def divide(n: Puppet) -> None:
        n.number = 1 // n.number

    with pytest.raises(HandlerRaised) as error:
        effects(divide)

    assert isinstance(error.value.__cause__, ZeroDivisionError)
    line = divide.__code__.co_firstlineno + 1
    assert str(error.value) == (
        "Puppet n1 raised ZeroDivisionError (integer division or modulo by zero) while handling "
        f"Do() from n2 in divide, line {line}: `n.number = 1 // n.number`. "
        "Mend the handler; a real node would have died here."
    )


@pytest.mark.parametrize(
    ("event", "what"), [(Fire(Tick(1)), "handling Tick(number=1)"), (Start(), "starting")]
)
def test_an_exception_says_during_what(event: Any, what: str) -> None:
    class Clumsy(Puppet):
        def on_start(self) -> None:
            raise KeyError("lost")

        def on_tick(self, t: Tick) -> None:
            raise KeyError("lost")

    with pytest.raises(HandlerRaised) as error:
        step(Clumsy("n1"), event)

    assert f"Clumsy n1 raised KeyError ('lost') while {what} in on_" in str(error.value)


def test_an_attribute_error_of_another_object_is_not_about_fields() -> None:
    def wrong(n: Puppet) -> None:
        n.place.z  # type: ignore[attr-defined]  # noqa: B018 - the mistake

    assert error_of(wrong).startswith("HandlerRaised: Puppet n1 raised AttributeError")


def test_after_an_error_the_node_is_usable_no_more_inside_but_others_are() -> None:
    node = Puppet("n1")
    with pytest.raises(HandlerRaised):
        act(node, lambda n: 1 / 0)

    assert act(node, lambda n: n.note("fine")).effects == (Note("fine", None),)
    with pytest.raises(BadValue):
        node.note("outside")


def test_an_undeclared_field_is_an_error_in_in_place_steps_too() -> None:
    class Bad(Node):
        def on_do(self, src: str, m: Do) -> None:
            self.x = 1

    with pytest.raises(UndeclaredField):
        run_in_place(Bad("n1"), Deliver("n2", Do()), Env())


# --- what is saved ---


@pytest.mark.parametrize(
    ("action", "saved"),
    [
        (lambda n: setattr(n, "number", 5), {"number": 5}),
        (lambda n: setattr(n, "number", 0), None),
        (lambda n: setattr(n, "number", True), {"number": True}),
        (lambda n: n.table.update(a=1), {"table": {"a": 1}}),
        (lambda n: n.items.append(1), {"items": [1]}),
        (lambda n: n.names.add("x"), {"names": {"x"}}),
        (lambda n: n.table.update({}), None),
        (lambda n: n.memory.update(a=1), None),
        (lambda n: setattr(n, "place", Point(1, 0)), {"place": Point(1, 0)}),
        (lambda n: setattr(n, "table", {}), None),
    ],
)
def test_durable_fields_that_changed_are_saved(
    action: Callable[[Puppet], object], saved: dict[str, Any] | None
) -> None:
    expected = () if saved is None else (Save(saved),)
    assert effects(action) == expected
    if saved == {"number": True}:  # equal to 1, and yet another value
        assert effects(lambda n: setattr(n, "number", True), number=1) == (Save({"number": True}),)


@pytest.mark.parametrize(
    ("old", "new", "splice"),
    [
        ((), (1,), Splice(0, (1,))),
        ((1, 2), (1, 2, 3, 4), Splice(2, (3, 4))),
        ((1, 2, 3), (1,), Splice(1, ())),
        ((1, 2, 3), (1, 9), Splice(1, (9,))),
        ((1, 2, 3), (7, 2, 3), Splice(0, (7, 2, 3))),
    ],
)
def test_a_tuple_is_saved_as_what_changed(old: Any, new: Any, splice: Splice) -> None:
    assert effects(lambda n: setattr(n, "log", new), log=old) == (Save({"log": splice}),)


def test_a_named_tuple_is_saved_whole() -> None:
    (save,) = effects(lambda n: setattr(n, "place", Point(0, 1)))

    assert save == Save({"place": Point(0, 1)})
    assert type(save.values["place"]) is Point  # type: ignore[union-attr]


def test_what_was_saved_does_not_change_later() -> None:
    node = Puppet("n1")

    first = act(node, lambda n: n.items.append([1]))
    act(first.node, lambda n: n.items[0].append(2))
    run_in_place(first.node, Deliver("n2", Do()), Env())
    first.node.items[0].append(3)

    assert first.effects == (Save({"items": [[1]]}),)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.tuples(inner, inner) | st.builds(Point, inner, inner),
    max_leaves=4,
)


@pytest.mark.slow
@given(st.lists(st.tuples(st.lists(values, max_size=6), values), max_size=6))
def test_a_disk_that_performs_every_save_holds_the_durable_fields(changes: Any) -> None:
    node = Puppet("n1")
    disk = node.saved()

    for log, value in changes:

        def change(n: Puppet, log: Any = log, value: Any = value) -> None:
            n.log = tuple(log)
            n.table["last"] = value
            n.items.insert(0, value)
            n.names.add(str(value))

        node, made = act(node, change)
        for effect in made:
            write(disk, effect)

        assert disk == node.saved()


@given(st.lists(st.integers(0, 2), max_size=8), st.lists(st.integers(0, 2), max_size=8))
def test_a_splice_turns_the_old_tuple_into_the_new(old: list[int], new: list[int]) -> None:
    made = effects(lambda n: setattr(n, "log", tuple(new)), log=tuple(old))

    written = dict(made[0].values) if made else {"log": Splice(len(old), ())}  # type: ignore[union-attr]
    assert apply_change(tuple(old), written["log"]) == tuple(new)
    if old != new:
        assert written["log"].keep + len(written["log"].items) == len(new)


# --- restart ---


def test_after_a_restart_volatile_fields_are_as_at_the_beginning() -> None:
    node = Puppet("n1", friends=("x",))
    node.number, node.memory = 5, {"a": 1}

    reborn = restart(node)

    assert reborn.state() == {**Puppet("n1").state(), "number": 5}
    assert reborn.configuration() == node.configuration()
    assert reborn is not node


def test_a_restart_from_a_disk_takes_what_is_there() -> None:
    node = Puppet("n1")
    node.number = 9

    assert restart(node, {"log": (1,)}).state() == {**Puppet("n1").state(), "log": (1,)}
    assert restart(node, {}).state() == Puppet("n1").state()


def test_a_restarted_node_shares_nothing_with_the_disk() -> None:
    disk: dict[str, Any] = {"items": [1]}

    reborn = restart(Puppet("n1"), disk)
    reborn.__dict__["items"].append(2)

    assert disk == {"items": [1]}


# --- keys ---


def test_nodes_with_equal_state_have_equal_keys() -> None:
    one, two = Puppet("n1"), Puppet("n1")
    one.table.update(a=1, b=2)
    two.table.update(b=2, a=1)
    assert one.frozen_key() == two.frozen_key()

    two.memory["x"] = 1
    assert one.frozen_key() != two.frozen_key()
    assert Puppet("n1").frozen_key() != Puppet("n2").frozen_key()
