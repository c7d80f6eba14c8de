"""Neural operators and the emulator around them."""
