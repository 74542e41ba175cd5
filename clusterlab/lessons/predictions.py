"""Questions to answer before one looks: `predict("00/leader-dies")`.

A prediction that turns out wrong teaches more than a figure that was merely seen,
so the answer shows only once one has been chosen.
The questions stand here and not in the notebooks, where the answer would stand beside them.
"""

from __future__ import annotations

import difflib
from html import escape
from typing import TYPE_CHECKING

from clusterlab.core.errors import ScenarioError
from clusterlab.experiments.base import Prediction

if TYPE_CHECKING:
    from ipywidgets import VBox


PREDICTIONS = {
    "00/leader-dies": Prediction(
        "The leader's process is killed while the writer goes on writing. "
        "What does the writer see?",
        (
            "Nothing: another node answers the next write.",
            "A pause, then every write goes on; nothing that was acknowledged is lost.",
            "A pause, and the last few acknowledged writes are gone.",
            "Errors until somebody restarts the dead node.",
        ),
        1,
        "Nobody can lead until the others notice the silence and vote, so there is a pause of "
        "about one election timeout. A write is acknowledged only when three of five nodes have it "
        "on disk, and any three that elect a leader include one of those.",
    ),
    "00/two-and-three": Prediction(
        "The network is cut: the leader and one other node here, three nodes there. "
        "Who can acknowledge a write?",
        (
            "Both sides: each has a leader.",
            "Only the side with the old leader: it has not failed.",
            "Only the side with three nodes.",
            "Nobody, until the network is whole.",
        ),
        2,
        "A majority of five is three. The old leader goes on as if nothing had happened, "
        "but cannot get a third copy of any write. "
        "The three elect a leader of their own in a higher term.",
    ),
    "00/try-three-dead": Prediction(
        "Kill any two nodes, then a third. When do the writes stop?",
        (
            "At the first kill.",
            "At the second.",
            "At the third.",
            "Never: one node can serve alone.",
        ),
        2,
        "Five nodes tolerate two failures: three are left, and three are a majority. "
        "With two left nothing is acknowledged any more, and nothing is lost either: "
        "restart one, and the writes go on.",
    ),
    "00/try-paused-leader": Prediction(
        "Pause the leader until another one is elected, then resume it. "
        "What does the old leader do?",
        (
            "It leads again: it was there first.",
            "Two leaders serve side by side from then on.",
            "It believes that it still leads, meets the higher term, and follows.",
            "It stays out until it is restarted.",
        ),
        2,
        "A paused process cannot know that it was paused. What saves the cluster is the term: "
        "its old messages are refused, and the refusals tell it that it is no longer leader.",
    ),
    "00/try-majority-leader": Prediction(
        "Cut the network so that the leader is on the side of the three. "
        "How long is the pause for the writer?",
        (
            "About one election timeout, as before.",
            "No pause worth the name.",
            "Until the network heals.",
        ),
        1,
        "The leader still reaches a majority, so it goes on. "
        "The two on the other side call elections in vain: two votes are not three.",
    ),
    "09/after-healing": Prediction(
        "The link is mended. Each server has a log that the other does not have. "
        "What becomes of the writes that both have acknowledged?",
        (
            "They are merged: nothing is lost.",
            "Those of the server with the longer log are kept.",
            "Those of one server are thrown away, whatever they were.",
            "The cluster stops and asks a human.",
        ),
        2,
        "Two logs that grew apart have no common order, and a store of values does not know which "
        "of two values is right. So one server follows the other, here by a rule as arbitrary as "
        "their names. GitHub asked humans, and it took them a day.",
    ),
    "09/paused-primary": Prediction(
        "No cable is cut this time: the primary's process is paused for a second, then resumed. "
        "What do you see right after it wakes up?",
        (
            "One primary: the paused one knows that it was paused.",
            "Two, until they hear each other, a few messages later.",
            "Two, until somebody cuts one off.",
        ),
        1,
        "From outside a pause looks like death, and from inside like nothing at all. It wakes up "
        "as a primary. Its mail has waited, so it soon reads of the newer epoch and steps down; "
        "what it does before that, such as to answer a client, it does as a primary.",
    ),
    "09/late-fence": Prediction(
        "A disk checks the token of every write, but not of reads: a new holder that mounts the "
        "disk raises the fence only with its first write. Is that enough?",
        (
            "Yes: a read changes nothing.",
            "Yes, as long as the lease is longer than any message takes.",
            "No: an old write may come between what the new holder reads and what it writes.",
        ),
        2,
        "The new holder has read where the log ends. If a late write of the old one still passes "
        "after that, the new one writes over it: the tokens never fell, and yet a record is gone. "
        "A fence has to stand before anybody looks at what is behind it.",
    ),
    "12/after-the-cut": Prediction(
        "Each side holds what its own customer wrote last. The cable is mended, and the replicas "
        "compare. What do they hold then?",
        (
            "What was written later, by the clock.",
            "What the larger side has: three of five hold it.",
            "Both.",
        ),
        2,
        "Neither writer had seen what the other wrote, so neither replaced it. The store keeps "
        "what nobody has replaced, and asks no clock and no majority.",
    ),
    "12/without-a-cut": Prediction(
        "The network is whole. Which stores answer a read soonest?",
        (
            "All are alike: there is nothing to choose without a cut.",
            "Those that ask nobody else before they answer.",
            "The quorum store: no leader stands in the way.",
        ),
        1,
        "Whoever wants to be sure that nothing newer exists must ask others, cut or no cut, and "
        "each asking is a round trip. A lease replaces it with a clock; the others with hope.",
    ),
    "12/one-winner": Prediction(
        "Of two versions that never met, every replica now keeps the one with the greater tag. "
        "What breaks first?",
        (
            "Nothing: it is commutative, associative and idempotent.",
            "The replicas never become equal.",
            "They become equal, and a write that was acknowledged is gone.",
        ),
        2,
        "The same rule everywhere makes the same choice everywhere, so they converge. The other "
        "write was acknowledged before anybody could know that it would lose.",
    ),
    "14/second-wish": Prediction(
        "Red is chosen. p2 knows nothing of it, and its user wants green. What does that user get?",
        (
            "Green: every proposer gets its own wish.",
            "Red: somebody will tell p2.",
            "An error: there is a value already.",
        ),
        1,
        "p2 must ask for promises first, and a majority of the acceptors cannot promise without "
        "one of them reporting that it has accepted red.",
    ),
    "14/forgotten": Prediction(
        "a1 is dead for good, and p2 comes back with nothing but its round. Its user wants blue. "
        "What comes back?",
        (
            "Blue: nobody is left who remembers the answer.",
            "Red: the two acceptors that are left tell it.",
            "Nothing: one acceptor of three is missing.",
        ),
        1,
        "Two of three are a majority, and any two majorities of three share an acceptor. "
        "What was chosen is on the disk of at least one whom p2 hears.",
    ),
    "14/is-it-chosen": Prediction(
        "p1 has the promises of a majority, and one acceptor of three has accepted red. "
        "Is red chosen?",
        (
            "Yes: a majority has promised.",
            "No, and it may still be, or never be.",
            "No, and it never will be.",
        ),
        1,
        "Chosen means accepted by a majority under one ballot. One is no majority of three; "
        "the next message that arrives may change that.",
    ),
    "14/other-quorum": Prediction(
        "p2 wants green. In one run it hears a1 and a2, in another a2 and a3; "
        "only a1 has accepted red. What does p2 propose?",
        (
            "Red in both runs: red was first.",
            "Green in both runs: red is not chosen.",
            "Red where it hears a1, green where it does not.",
        ),
        2,
        "Where red was reported it may have been chosen in the meantime, so p2 may not contradict. "
        "Where it was not reported, two acceptors have promised to ignore it, so it never can be.",
    ),
    "14/skip-phase-1": Prediction(
        "Proposers send Accept at once, each under a ballot of its own. The acceptors are right. "
        "What is the worst that can happen?",
        (
            "Nothing: the acceptors refuse what is too low.",
            "It takes longer until a value is chosen.",
            "Two users are told different values.",
        ),
        2,
        "The acceptors refuse lower ballots only. A higher one that has not asked what was "
        "accepted overwrites what was chosen.",
    ),
    "14/volatile": Prediction(
        "An acceptor forgets in a crash what it has promised, but not what it has accepted. "
        "There is one crash. Can two values be chosen?",
        (
            "No: what was accepted is still on its disk.",
            "No: the other two acceptors still know.",
            "Yes: it can accept what it had promised to refuse.",
        ),
        2,
        "Its promise made a proposer believe that lower ballots are dead. "
        "Without the promise one of them comes back to life, at this acceptor and one other.",
    ),
    "14/duel": Prediction(
        "Two healthy proposers, three healthy acceptors, no message is lost. "
        "Can it go on for ever without a value being chosen?",
        (
            "No: one of them has the higher ballot and wins.",
            "No: the acceptors take the first that comes.",
            "Yes: each can always come in between.",
        ),
        2,
        "A Prepare that arrives before the other's Accept makes that Accept worthless, "
        "and the other may do the same in return.",
    ),
    "14/how-many-prepares": Prediction(
        "Five replicas, one leader that stays, and a writer. "
        "How many Prepare messages does each write cost?",
        (
            "Four: one to each of the others.",
            "None: they were sent once, when the leader began.",
            "One: the leader asks itself.",
        ),
        1,
        "One Prepare names the slot from which on it asks, and the promise holds for all slots "
        "behind it. Only another leader begins phase 1 again.",
    ),
    "15/next-leader": Prediction(
        "The leader of term 1 is killed. How many servers must vote before another one leads, "
        "and in which term?",
        (
            "Two of the four that are left, in term 1.",
            "Three of the five, in term 2 or higher.",
            "All four that are left, in term 2.",
        ),
        1,
        "A majority is counted of all members, dead ones included, or two halves could each have "
        "one. And a server votes once in a term, so a new leader needs a new term.",
    ),
    "15/same-timeout": Prediction(
        "All five wait exactly 200 ms for a leader before they stand themselves. "
        "When is a leader elected?",
        (
            "After 200 ms: the first to stand wins.",
            "After a few terms: one of them is a little quicker.",
            "Never, as far as we watched.",
        ),
        2,
        "All stand at once and vote for themselves, and they do so again in the next term. "
        "Nothing tells them apart but chance, and chance was taken away.",
    ),
    "15/stale-log": Prediction(
        "A server that missed two writes stands, in a term that is higher than everybody's. "
        "The other one that is up has the writes. What happens?",
        (
            "It leads: the higher term wins.",
            "It gets no vote, but the other moves on to its term.",
            "It gets no vote, and the other ignores its term as well.",
        ),
        1,
        "Every message with a higher term is believed as far as the term goes. "
        "The vote is another matter: it goes only to a log that is at least as up-to-date.",
    ),
    "15/comes-back": Prediction(
        "A follower is cut off for three seconds, while the others are served by their leader. "
        "Then its cable is plugged in again. What do the others notice?",
        (
            "Nothing: they have a leader.",
            "It asks for votes in vain, and the leader goes on.",
            "Their leader steps down, and there is an election.",
        ),
        2,
        "Alone it stood again and again, and each time raised its term. "
        "A leader that meets a higher term follows, although nothing was wrong with it.",
    ),
    "15/no-restriction": Prediction(
        "Three servers that vote for whoever asks first, whatever is in its log. One entry is "
        "committed. Can it be lost without any disk being lost?",
        (
            "No: a majority has it on disk.",
            "Yes: somebody without it can lead, and overwrite it.",
            "Only if two servers die.",
        ),
        1,
        "A leader makes the logs of the others like its own. "
        "If it lacks a committed entry, so will they.",
    ),
}


def predict(name: str) -> VBox:
    """Ask a question; choosing an option shows whether it was right, and why.

    An experiment's own question goes by the name of the experiment.
    Raises ScenarioError if there is no question of that name.
    """
    import ipywidgets as widgets  # noqa: PLC0415 - widgets load when they are used

    from clusterlab.experiments import CATALOGUE  # noqa: PLC0415 - loads when a question is asked

    questions = PREDICTIONS | {name: cls.prediction for name, cls in CATALOGUE.items()}
    if name not in questions:
        near = difflib.get_close_matches(name, questions, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(questions)}."
        raise ScenarioError(f"there is no question {name!r}: {hint}")
    prediction = questions[name]
    wide = widgets.Layout(width="auto")
    asked = escape(prediction.question, quote=False)
    # A Label would cut a long question off at the edge of the page.
    text = f"<p style='max-width: 46em; line-height: 1.4'><b>{asked}</b></p>"
    question = widgets.HTML(text, layout=wide)
    options = widgets.RadioButtons(options=prediction.options, value=None, layout=wide)
    verdict = widgets.HTML(layout=wide)

    def reveal(_: dict[str, object]) -> None:
        right = options.index == prediction.answer
        said = "That is what happens." if right else "Something else happens; look again below."
        because = f" {prediction.because}" if right else ""
        verdict.value = f"<p style='max-width: 46em'><b>{said}</b>{because}</p>"

    options.observe(reveal, names="index")
    return widgets.VBox([question, options, verdict])
