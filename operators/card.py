"""The model card that lies beside saved weights."""

from collections.abc import Mapping
from typing import Any

TEMPLATE = """---
library_name: rollwave
tags: [neural-operator, pde, emulator]
---
# {name}

A {operator} that steps the {equation} equation by {interval} time units.

| | |
|---|---|
| equation | {equation} |
| channels | {channels} |
| interval | {interval} |
| grid | {points} points, lengths {lengths} |
| history | {history} |
| residual | {residual} |
| operator | {arguments} |
| parameters | {parameters} |
| data hash | {data_hash} |
| versions | {versions} |

```python
from rollwave.operators import Emulator

emulator = Emulator.from_pretrained("{name}")
u = emulator.rollout(u_history, steps=500)  # [{shape}] in, [batch, 500, {c}, *space] out, physical units
```
"""


def card(name: str, config: Mapping[str, Any], parameters: int) -> str:
    """The card of the emulator that `config` describes."""
    metadata, network = config["metadata"], dict(config["network"])
    operator = network.pop("_target_").rsplit(".", 1)[-1]
    history, channels = config["history"], metadata["channels"]
    return TEMPLATE.format(
        name=name,
        operator=operator,
        equation=metadata["equation"],
        interval=f"{metadata['interval']:g}",
        channels=", ".join(channels),
        points=" x ".join(str(N) for N in metadata["points"]),
        lengths=" x ".join(f"{L:g}" for L in metadata["lengths"]),
        history=f"{history} frame{'s' if history > 1 else ''}",
        residual="yes, the network gives the change" if config["residual"] else "no, the network gives the state",
        arguments=f"`{operator}({', '.join(f'{key}={value!r}' for key, value in network.items())})`",
        parameters=f"{parameters:,}",
        data_hash=f"`{metadata['data_hash']}`" if metadata["data_hash"] else "unknown",
        versions=", ".join(f"{package} {version}" for package, version in metadata["versions"].items()),
        shape=f"batch, {history}, {len(channels)}, *space",
        c=len(channels),
    )
