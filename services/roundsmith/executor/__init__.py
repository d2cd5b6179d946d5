"""Runs untrusted programs: values in, outcomes out. The engine is `pool.Pool`."""
