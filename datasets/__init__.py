"""The HDF5 layout, its writer, verifier and readers, and the Lightning data module."""
