"""Parts of the speed measurements: what is run, what is counted, how it is timed, how it is told."""
