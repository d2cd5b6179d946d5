"""A process that imports and loads much looks for no garbage meanwhile."""

import gc


def hold_searches() -> None:
    """At the begin of a process: Python looks for no garbage until `resume_searches`.

    Importing torch and transformers makes a million objects, of which all stay; to look through
    them again and again takes a third of the time until a model is loaded.
    """
    gc.disable()


def resume_searches() -> None:
    """When the process has started: Python looks for garbage once, and from then on among what is
    made later, also when the process ends. Nothing is done where searches were not held.
    """
    if not gc.isenabled():
        search_what_follows()
        gc.enable()


def search_what_follows() -> None:
    """Python looks for garbage once, and from then on among what is made later: where values are
    made by the million, looking through the modules' own objects again and again takes a sixth of
    the time.
    """
    gc.collect()
    gc.freeze()
