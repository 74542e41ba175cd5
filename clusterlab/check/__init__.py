"""Checkers: what a run, or every run, must not do.

Where to look:

| question | module | behind it |
|---|---|---|
| Does every schedule of a small world keep a promise? | `explore` | `search`, `tables`, `rows`, `locals`, `inboxes`, `budgets`, `judge`, `account` |
| ... with less work, the same verdict | `symmetry`, `postpone` | `orbits`, `reductions` |
| ... on several processes or machines | `spread` | `crew`, `expander` |
| What did it find? | `report` | `moves`, `retell` (a path as a trace) |
| What can be promised? | `properties`, `world` | `invariants/`: ready-made ones |
| Does a history make sense? | `linearizability`, `sequential`, `sessions`, `staleness`, `tallies` | `ordering`, `spans`, `accesses`; the answer is a `verdict` |
| ... one that was recorded elsewhere? | `judging` | `jepsen`, `edn`, `models` |
| Did a trace happen as it says? | `replay` | `agreement`, `lives` |
| What of a failing list is needed? | `shrink` | - |
| What is it in words? | `story` | `lives` |
| Is a node fit to be checked? | `hygiene` | `witness`, `shuffle`, `first_steps` |
"""  # noqa: E501 - a table
