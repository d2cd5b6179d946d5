"""Where rows come from, what they went into, and whether that can still be shown."""
