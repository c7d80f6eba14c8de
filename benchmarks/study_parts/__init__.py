"""What keeps a rollout alive: the parts of `benchmarks/study.py`."""
