from rollwave.operators import Emulator


def compile_network(emulator: Emulator, *, backend: str = "inductor") -> None:
    """Compile the network in place, as one graph: a graph break is an error. Names of the weights stay as they are."""
    emulator.network.compile(fullgraph=True, backend=backend)
