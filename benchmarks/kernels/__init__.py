"""Parts of the measurements of kernels and of whole training steps: what is run, compared, counted, timed and told."""
