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
        gc.collect()
        gc.freeze()
        gc.enable()
