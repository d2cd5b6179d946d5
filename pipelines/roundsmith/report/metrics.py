"""The numbers of a round that are compared with those of others, each by a name of its own."""

from roundsmith.report.summary import Summary


def metrics(summary: Summary) -> dict[str, float]:
    """Pass@k before, after and of the control, by split and k, the p-value, the number of selected
    rows, and 1 for a promoted checkpoint.
    """
    result = summary.result
    found: dict[str, float] = {"promoted": float(result.promoted)}
    for split, by_k in result.pass_at_k.items():
        for k, measured in by_k.items():
            name = f"{split}_pass_at_{k}"
            found[f"{name}_before"] = measured.before
            found[f"{name}_after"] = measured.after
            found[f"{name}_p_value"] = measured.p_value
            if measured.control is not None:
                found[f"{name}_control"] = measured.control
    found["selected_rows"] = float(result.funnel["selected rows"])
    return found
