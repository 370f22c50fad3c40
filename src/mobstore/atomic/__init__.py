"""Several operations in one commit: their scripts, one after the other, make one script.

overlay.py    what a store would hold if the writes so far were made
together.py   a function of operations as one script
"""

from mobstore.atomic.together import NOTHING_ELSE, Work, together

__all__ = ["NOTHING_ELSE", "Work", "together"]
