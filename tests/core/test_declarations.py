"""What is wrong with a class is said when the class is made, in a sentence with the mend."""

from __future__ import annotations

from typing import Any

import pytest

from clusterlab.core.errors import BadValue, DeclarationError, UndeclaredField
from clusterlab.core.node import Message, Node, NodeId, Timer, durable, snake_case, volatile


class Ping(Message):
    number: int


class RingRing(Timer):
    pass


class Counter(Node):
    peers: tuple[str, ...] = ()
    seen: int = durable(0)
    noise: list[int] = volatile([])

    def on_ping(self, src: str, m: Ping) -> None:
        self.seen += m.number


def sentence(error: pytest.ExceptionInfo[Exception]) -> str:
    return str(error.value)


# --- fields ---


def test_fields_are_configuration_durable_or_volatile() -> None:
    node = Counter("n1", peers=("n2",))

    assert node.configuration() == {"id": "n1", "peers": ("n2",)}
    assert node.saved() == {"seen": 0}
    assert node.state() == {"seen": 0, "noise": []}
    assert repr(node) == "Counter n1"


def test_state_is_no_argument_of_the_constructor() -> None:
    with pytest.raises(TypeError, match="seen"):
        Counter("n1", seen=3)  # type: ignore[call-arg]


def test_each_node_has_its_own_initial_values() -> None:
    first, second = Counter("n1"), Counter("n2")

    first.noise.append(1)

    assert second.noise == []
    assert Counter("n3").noise == []


def test_assigning_an_undeclared_field_says_which_line_to_add() -> None:
    with pytest.raises(UndeclaredField) as error:
        Counter("n1").colour = "red"  # type: ignore[attr-defined]

    assert sentence(error) == (
        "Counter assigns self.colour, but declares no such field: add the line "
        "`colour: str = durable(...)` to the class if it must survive a crash, "
        "or `colour: str = volatile(...)` if not."
    )


def test_assigning_a_misspelt_field_names_the_right_one() -> None:
    with pytest.raises(UndeclaredField) as error:
        Counter("n1").sen = None  # type: ignore[attr-defined]

    assert sentence(error) == (
        "Counter assigns self.sen, but declares no such field: add the line "
        "`sen: str | None = durable(...)` to the class if it must survive a crash, "
        "or `sen: str | None = volatile(...)` if not. Or did you mean `seen`?"
    )


def test_configuration_never_changes() -> None:
    with pytest.raises(UndeclaredField) as error:
        Counter("n1").peers = ("n9",)

    assert sentence(error) == (
        "Counter n1 assigns peers, which is configuration and never changes: to make it state, "
        "declare it `peers: ... = durable(...)` (on disk) or `= volatile(...)` (in memory)."
    )


def test_a_configuration_with_a_list_as_its_default_is_refused() -> None:
    with pytest.raises(DeclarationError) as error:

        class Wrong(Node):
            peers: list[str] = []  # noqa: RUF012 - the mistake

    assert sentence(error) == (
        "Wrong cannot be a node (mutable default <class 'list'> for field peers is not allowed: "
        "use default_factory): declare a field as `name: type = durable(initial)` or "
        "`= volatile(initial)`, and configuration as `name: type` or `name: type = default`, "
        "where the default is no list, dict or set."
    )


def test_a_state_field_without_a_type_is_refused() -> None:
    with pytest.raises(DeclarationError, match="'seen' is a field but has no type annotation"):

        class Wrong(Node):
            seen = durable(0)


@pytest.mark.parametrize("name", ["send", "note", "now_ms", "status", "state", "copy", "saved"])
def test_a_field_with_the_name_of_a_method_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError) as error:
        type("Wrong", (Node,), {"__annotations__": {name: int}, name: volatile(0)})

    assert sentence(error) == (
        f"Wrong has a field named {name}, which is a method of every node: "
        "give the field another name."
    )


def test_a_subclass_inherits_fields_and_may_declare_them_anew() -> None:
    class Forgetful(Counter):
        seen: int = volatile(5)
        more: int = durable(1)

    assert Forgetful("n1").saved() == {"more": 1}
    assert Forgetful("n1").state() == {"more": 1, "seen": 5, "noise": []}
    assert Counter("n1").saved() == {"seen": 0}


def test_another_default_without_its_type_is_refused_since_it_would_do_nothing() -> None:
    with pytest.raises(DeclarationError) as error:

        class Wrong(Counter):
            peers = ("n2",)

    assert sentence(error) == (
        "Wrong sets peers without saying its type, which would have no effect: "
        "write `peers: tuple[str, ...] = ...`."
    )


def test_another_default_with_its_type_counts() -> None:
    class Right(Counter):
        peers: tuple[str, ...] = ("n2",)

    assert Right("n1").peers == ("n2",)


# --- handlers ---


def test_a_handler_for_a_message_that_does_not_exist_is_refused() -> None:
    with pytest.raises(DeclarationError) as error:

        class Wrong(Node):
            def on_ring_rings(self, t: RingRing) -> None:
                pass

    assert sentence(error) == (
        "Wrong has a handler on_ring_rings, but there is no message or timer for it: "
        "did you mean `on_ring_ring`? A handler is `on_` and the message's name in small letters, "
        "and the message's class stands above the node's."
    )


def test_a_handler_whose_message_comes_later_says_so() -> None:
    with pytest.raises(DeclarationError, match="for it: is it defined further down\\? A handler"):

        class Wrong(Node):
            def on_xylophone_zzz(self, src: str, m: Any) -> None:
                pass


def test_two_protocols_may_have_a_message_and_a_timer_of_one_name() -> None:
    def one() -> type[Node]:
        class Twofold(Message):
            pass

        class Hears(Node):
            def on_twofold(self, src: NodeId, m: Twofold) -> None:
                self.note("heard")

        return Hears

    def other() -> type[Node]:
        class Twofold(Timer):
            pass

        class Wakes(Node):
            def on_twofold(self, t: Twofold) -> None:
                self.note("woke")

        return Wakes

    assert [one(), other(), one()]


@pytest.mark.parametrize(
    ("name", "function", "said", "mend"),
    [
        ("on_ping", lambda self, m: None, "1 arguments", "def on_ping(self, src, m):"),
        ("on_ring_ring", lambda self, s, t: None, "2 arguments", "def on_ring_ring(self, t):"),
        ("on_start", lambda self, x: None, "1 arguments", "def on_start(self):"),
        ("on_message", lambda self, m: None, "1 arguments", "def on_message(self, src, m):"),
        ("on_timer", lambda self: None, "0 arguments", "def on_timer(self, t):"),
    ],
)
def test_a_handler_with_other_arguments_is_refused(
    name: str, function: Any, said: str, mend: str
) -> None:
    with pytest.raises(DeclarationError) as error:
        type("Wrong", (Node,), {name: function})

    takes = mend.count(",")
    assert sentence(error) == (
        f"Wrong.{name} takes {said} beside self, not {takes}: write `{mend}`."
    )


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("Ping", "ping"),
        ("RequestVote", "request_vote"),
        ("HTTPRequest", "http_request"),
        ("Phase1b", "phase1b"),
        ("Phase2Reply", "phase2_reply"),
    ],
)
def test_names_of_handlers(name: str, snake: str) -> None:
    assert snake_case(name) == snake


# --- messages ---


def test_a_message_is_a_frozen_value() -> None:
    assert Ping(1) == Ping(1) != Ping(2)
    assert len({Ping(1), Ping(1), Ping(2)}) == 2
    assert repr(Ping(1)) == "Ping(number=1)"
    with pytest.raises(AttributeError):
        Ping(1).number = 2  # type: ignore[misc]


def test_a_message_with_a_list_as_its_default_is_refused() -> None:
    with pytest.raises(DeclarationError) as error:

        class Wrong(Message):
            items: list[int] = []  # noqa: RUF012 - the mistake

    assert sentence(error) == (
        "Wrong cannot be a message (mutable default <class 'list'> for field items is not allowed: "
        "use default_factory): list its fields as `name: type`, those with a default last, "
        "and let no default be a list, dict or set (a tuple serves)."
    )


def test_a_message_with_a_default_before_a_field_without_is_refused() -> None:
    with pytest.raises(DeclarationError, match="those with a default last"):

        class Wrong(Message):
            a: int = 0
            b: int


# --- outside a handler ---


def test_effects_are_for_handlers_only() -> None:
    for ask in (
        lambda node: node.send("n2", Ping(1)),
        lambda node: node.set_timer(RingRing(), 5),
        lambda node: node.cancel_timer(RingRing()),
        lambda node: node.note("x"),
    ):
        with pytest.raises(BadValue) as error:
            ask(Counter("n1"))
        assert sentence(error) == (
            "Counter n1 was asked for an effect outside a handler: only handlers send, set timers "
            "and note; give the node to a cluster and run that."
        )


def test_clock_and_choices_are_for_handlers_only() -> None:
    for ask in (lambda node: node.now_ms, lambda node: node.choose([1])):
        with pytest.raises(BadValue) as error:
            ask(Counter("n1"))
        assert sentence(error) == (
            "Counter n1 has a clock and choices only inside a handler: read them there."
        )
