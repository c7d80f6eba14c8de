"""The Lightning task, its objectives, losses and callbacks."""
