"""What every service shares: listening, health, errors, deadlines, repeated items, draining."""

from roundsmith.serve.callers import caller_of
from roundsmith.serve.items import ItemCalls, answer_items
from roundsmith.serve.load import Load
from roundsmith.serve.ports import Binding
from roundsmith.serve.results import ItemResults, item_key
from roundsmith.serve.server import Service, listening, run

__all__ = [
    "Binding",
    "ItemCalls",
    "ItemResults",
    "Load",
    "Service",
    "answer_items",
    "caller_of",
    "item_key",
    "listening",
    "run",
]
