"""Runs untrusted programs: values in, outcomes out. The engine is `local_pool.LocalPool`."""
