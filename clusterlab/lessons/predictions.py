"""Questions to answer before one looks: `predict("00/leader-dies")`.

A prediction that turns out wrong teaches more than a figure that was merely seen,
so the answer shows only once one has been chosen.
The questions stand here and not in the notebooks, where the answer would stand beside them.
"""

from __future__ import annotations

import difflib
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
    question = widgets.Label(prediction.question, layout=wide)
    question.style.font_weight = "bold"
    options = widgets.RadioButtons(options=prediction.options, value=None, layout=wide)
    verdict = widgets.HTML(layout=wide)

    def reveal(_: dict[str, object]) -> None:
        right = options.index == prediction.answer
        said = "That is what happens." if right else "Something else happens; look again below."
        because = f" {prediction.because}" if right else ""
        verdict.value = f"<p style='max-width: 46em'><b>{said}</b>{because}</p>"

    options.observe(reveal, names="index")
    return widgets.VBox([question, options, verdict])
