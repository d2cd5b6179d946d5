"""What every service shares: listening, health, errors, deadlines, repeated items, draining."""

from roundsmith.serve.items import ItemResults, answer_items, item_key
from roundsmith.serve.server import Binding, Service, caller_of, run

__all__ = ["Binding", "ItemResults", "Service", "answer_items", "caller_of", "item_key", "run"]
