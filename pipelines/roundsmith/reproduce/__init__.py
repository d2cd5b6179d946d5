"""Comparisons: the arms of a recipe's claims, over seeds, and what they say of the claims."""
