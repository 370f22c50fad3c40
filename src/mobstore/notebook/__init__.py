"""What people see of models in a notebook, as HTML.

html.py        what shows what: `html_of`
runs.py        a run: its head, its tree, its failures and outputs; timeline.py its timeline
records.py     an event, a realm profile, many records as a table; definitions.py a mob's definition
stores.py      stores and what they hold
markup.py      elements of HTML, in which all text is escaped and cut; style.py how they look
formatting.py       moments, spans and values as text
bars.py        a step ledger as bars
tree.py        frames and loops as they lie in each other

Nothing here reads a store. A display holds no script and asks nothing of the network; how much of
a thing it shows is bounded by the constants of its module, and it says what it leaves out.
"""
