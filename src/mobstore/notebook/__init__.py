"""HTML displays of models and stores for notebooks.

html.py         `html_of`, `display_of`: choose the display of a value
runs.py         a run: header, frames and loops, failures, outputs; timeline.py: its timeline
records.py      an event, a realm profile, a table of records
definitions.py  the definition of a mob
stores.py       stores and their contents
markup.py       elements, whose text is cut, and their HTML; style.py: their style sheet
formatting.py   times, durations and values as text
tabular.py      records as flat dicts, and `Listing`
bars.py         a step ledger as bars
tree.py         the tree of frames and loops

No module here reads a store. A display holds no script and makes no network request. The constants
of its module limit how much of a value it shows, and it says how much it leaves out.
"""
