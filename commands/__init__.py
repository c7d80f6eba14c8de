"""What the three programs share: run folders, messages, composed configs."""
