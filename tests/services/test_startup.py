"""While a process starts, Python looks for no garbage; afterwards it does, but not in all."""

import subprocess
import sys

HELD = """
import gc, weakref
from roundsmith.startup import hold_searches, resume_searches
class Ring:
    def __init__(self):
        self.itself = self
hold_searches()
assert not gc.isenabled()
lost, kept = weakref.ref(Ring()), Ring()
assert lost() is not None
resume_searches()
assert gc.isenabled()
assert lost() is None, "what nobody has is found"
seen = weakref.ref(kept)
del kept
gc.collect()
assert seen() is not None, "what was there when it had started is not looked at again"
lost = weakref.ref(Ring())
gc.collect()
assert lost() is None
"""
NOT_HELD = """
import gc
from roundsmith.startup import resume_searches
resume_searches()
assert gc.isenabled()
assert gc.get_freeze_count() == 0
"""


FOLLOWS = """
import gc, weakref
from roundsmith.startup import search_what_follows
class Ring:
    def __init__(self):
        self.itself = self
lost, kept = weakref.ref(Ring()), Ring()
search_what_follows()
assert lost() is None, "what nobody has is found"
seen = weakref.ref(kept)
del kept
later = weakref.ref(Ring())
gc.collect()
assert seen() is not None, "what was there is not looked at again"
assert later() is None, "what was made later is"
"""


def test_a_process_that_makes_much_looks_through_what_it_makes_alone() -> None:
    subprocess.run([sys.executable, "-c", FOLLOWS], check=True)


def test_what_is_loaded_to_start_is_looked_through_once_and_what_comes_later_as_ever() -> None:
    subprocess.run([sys.executable, "-c", HELD], check=True)


def test_a_process_that_held_no_searches_is_left_as_it_is() -> None:
    subprocess.run([sys.executable, "-c", NOT_HELD], check=True)
