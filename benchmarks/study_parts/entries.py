"""What is compared: operators and ways to train them, as overrides of `configs/train.yaml`."""

from dataclasses import dataclass, replace

from .systems import System

LEARNING_RATES = (1e-3, 3e-3, 9e-3)
WEIGHTS = (1e-4, 1e-3, 1e-2)
# Of a penalty that is one where the emulator's Jacobian says nothing of the solver's.
MATCHING_WEIGHTS = (1e-2, 1e-1, 1.0)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row of a table. Every row has one number to tune, and equally many values to try, but for controls that take
    their number from another row or cost what another row costs.

    Attributes:
        name: of the row.
        operator: overrides that choose and shape the network; here and in `method`, see `shape` for what braces hold.
        widths: overrides that set its width `{width}`, chosen for equal parameters; none for the reference.
        multiple: of which its width must be one.
        method: overrides that choose how it is trained.
        parameter: the config key of the number that is tuned.
        values: the values tried.
        rate_of: the row without what is tuned here; this one takes the learning rate that validation chose for it.
        value_of: the row whose chosen value this row takes; nothing is tuned.
        mean_of: the row whose penalty, in the mean over space, this row's uniform weight copies; nothing is tuned.
        seeds: runs at the chosen value, where fewer than the table's.
    """

    name: str
    operator: tuple[str, ...] = ("operator=fno", "operator.modes={modes}", "operator.width={reference}")
    widths: tuple[str, ...] = ()
    multiple: int = 1
    method: tuple[str, ...] = ("objective=one_step",)
    parameter: str = "optimizer.lr"
    values: tuple[float, ...] = LEARNING_RATES
    rate_of: "Entry | None" = None
    value_of: "Entry | None" = None
    mean_of: "Entry | None" = None
    seeds: int | None = None

    def sources(self) -> list["Entry"]:
        """The rows that must have chosen before this one can."""
        return [entry for entry in (self.rate_of, self.value_of, self.mean_of) if entry is not None]

    def choices(self) -> list[tuple[str, str]]:
        """Groups of `configs/` and what is chosen of them."""
        pairs = [text.split("=", 1) for text in (*self.operator, *self.method)]
        return [(key, value) for key, value in pairs if key in ("operator", "objective", "regularizer", "loss")]


FNO = Entry(name="FNO")


def shape(system: System) -> dict[str, object]:
    """What the braces of overrides stand for: wavenumbers in the words of every package, and what is conserved."""
    K, axes = system.wavenumber, system.dimensions

    def each(number: float) -> str:
        return "[" + ",".join([str(number)] * axes) + "]"

    half = max(2, K // 2)
    return {
        "reference": system.width,
        "modes": each(K),
        "one_sided": each(K + 1),
        "twice": each(2 * K),
        "points": system.points,
        "conserve": system.conserve,
        "grid": each(system.points),
        "u_modes": f"[{each(2 * K)},{each(2 * half)},{each(2 * half)},{each(2 * half)},{each(2 * K)}]",
        "u_scalings": f"[{each(1.0)},{each(0.5)},{each(1.0)},{each(2.0)},{each(1.0)}]",
    }


def architecture(
    name: str, config: str, *shaped: str, widths: tuple[str, ...] = ("width={width}",), multiple: int = 1
) -> Entry:
    """An operator of as many parameters as the Fourier operator."""
    shaping, sizing = (tuple(f"operator.{text}" for text in part) for part in (shaped, widths))
    return Entry(name=name, operator=(f"operator={config}", *shaping), widths=sizing, multiple=multiple)


U_WIDTHS = tuple(f"arguments.{key}={{width}}" for key in ("hidden_channels", "lifting_channels", "projection_channels"))
ARCHITECTURES = (
    FNO,
    architecture("DyMixOp", "dymixop", "modes={modes}", "interaction.points={points}"),
    architecture("DyMixOp as published", "dymixop_reference", "modes={one_sided}"),
    # Its groups of channels divide multiples of four.
    architecture("U-Net", "unet", multiple=4),
    architecture("dilated ResNet", "dilated_resnet"),
    architecture(
        "LocalNO",
        "localno",
        "arguments.n_modes={twice}",
        "arguments.default_in_shape={grid}",
        widths=("arguments.hidden_channels={width}",),
    ),
    architecture(
        "U-NO",
        "uno",
        "arguments.uno_n_modes={u_modes}",
        "arguments.uno_scalings={u_scalings}",
        widths=(*U_WIDTHS, "arguments.uno_out_channels=[{width},{width},{width},{width},{width}]"),
    ),
)


def variant(name: str, *changes: str) -> Entry:
    """DyMixOp with something changed, at equal parameters."""
    base = next(entry for entry in ARCHITECTURES if entry.name == "DyMixOp")
    return replace(base, name=name, operator=(*base.operator, *(f"operator.{change}" for change in changes)))


STENCILS = {"stencils": "[true,true]", "no stencils": "[false,false]"}
MIXINGS = {"product": "[1.0,0.0,0.0]", "sum": "[0.0,1.0,1.0]", "none": "[0.0,0.0,0.0]"}
# Terms of the interaction and where there are stencils; the first of both is DyMixOp as it comes, whose runs it shares.
CROSSED = [(mixing, stencil) for stencil in STENCILS for mixing in MIXINGS]
NARROW = variant("narrow second derivatives", "interaction.wide=false")
ABLATION = (
    variant("product, stencils"),
    *(
        variant(
            f"{mixing}, {stencil}",
            f"interaction.mixing={MIXINGS[mixing]}",
            f"interaction.stencils={STENCILS[stencil]}",
        )
        for mixing, stencil in CROSSED[1:]
    ),
    variant("product without a limit, stencils", "interaction.limit=null"),
    variant("stencil in the linear map alone", "interaction.stencils=[true,false]"),
    NARROW,
    variant("no gate", "connection.gate=null"),
    variant("one gate for all layers", "connection.shared=true"),
    variant("last stage, no sum over layers", "connection.parallel=false"),
    variant("layers side by side", "connection.sequential=false"),
)


def trained(
    name: str,
    *method: str,
    parameter: str = "optimizer.lr",
    values: tuple[float, ...] = LEARNING_RATES,
    rate_of: Entry | None = None,
) -> Entry:
    """A way to train the Fourier operator."""
    objective = () if any(text.startswith("objective=") for text in method) else ("objective=one_step",)
    return Entry(name=name, method=(*objective, *method), parameter=parameter, values=values, rate_of=rate_of)


ONE_STEP = trained("one step")


def tuned(name: str, *method: str, parameter: str, values: tuple[float, ...], base: Entry = ONE_STEP) -> Entry:
    """A way to train with a number of its own, at the learning rate of the way without it."""
    return trained(name, *method, parameter=parameter, values=values, rate_of=base)


def penalised(
    name: str, config: str, *method: str, values: tuple[float, ...] = WEIGHTS, base: Entry = ONE_STEP
) -> Entry:
    """The Fourier operator trained with a penalty on top of `base`; its weight is tuned."""
    changes = (*method, f"regularizer={config}")
    return tuned(name, *changes, parameter="regularizer.weight", values=values, base=base)


NOISE = tuned("input noise", "objective=noise", parameter="objective.std", values=(0.003, 0.01, 0.03))
PUSHFORWARD = tuned("pushforward", "objective=pushforward", parameter="objective.max_steps", values=(2, 4, 8))
NO_GRADIENT = tuned(
    "unroll without gradient",
    "objective=unrolled",
    "objective.gradient_steps=1",
    parameter="objective.steps",
    values=(2, 5, 10),
)
UNROLL_2, UNROLL_5, UNROLL_10 = (
    trained(f"unroll K = {K}", "objective=unrolled", f"objective.steps={K}") for K in (2, 5, 10)
)
# The gradient is that of the unroll: one seed gives its time and memory.
CHECKPOINTED = replace(
    trained(
        "unroll K = 10, checkpointed", "objective=unrolled", "objective.steps=10", "objective.checkpoint=true",
        values=(3e-3,),
    ),
    seeds=1,
)  # fmt: skip
# From 2: one state is one-step training.
DIVERTED = tuned("diverted chain without gradient", "objective=diverted", parameter="objective.steps", values=(2, 4, 8))
JAWS_1 = penalised("JAWS", "jaws")
JAWS_2 = penalised("JAWS, unroll K = 2", "jaws", "objective=unrolled", "objective.steps=2", base=UNROLL_2)
UNIFORM = penalised("uniform Jacobian penalty", "jacobian")
MATCHED = replace(UNIFORM, name="uniform, with the mean weight of JAWS", values=(), mean_of=JAWS_1)
ORACLE = penalised("oracle weights", "jacobian_oracle")
PERMUTED = replace(penalised("JAWS, weights permuted in space", "jaws_permuted", values=()), value_of=JAWS_1)
AVERAGED = replace(penalised("JAWS, one weight a state", "jaws_averaged", values=()), value_of=JAWS_1)
AT_DATA = penalised("JAWS at states of the data alone", "jaws", "regularizer.probe.own_steps=0")
OF_CHANGE = penalised("JAWS without the identity", "jaws", "regularizer.probe.identity=1.0")
HINGE = penalised("hinge", "jacobian_hinge")
LIKELIHOOD = trained("learned variance of errors", "objective=likelihood")
JAWS_APART = penalised("JAWS, learned variance of errors beside", "jaws", "objective=likelihood", base=LIKELIHOOD)
JAWS_TIED = penalised("JAWS, one tolerance for both", "jaws_tied", "objective=likelihood", base=LIKELIHOOD)
MATCHING = penalised("Jacobian matching", "jacobian_matching", values=MATCHING_WEIGHTS)


def together(
    name: str,
    *method: str,
    parameter: str = "optimizer.lr",
    values: tuple[float, ...] = LEARNING_RATES,
    rate_of: Entry | None = None,
) -> Entry:
    """DyMixOp trained in another way, or in several at once."""
    return replace(variant(name), method=method, parameter=parameter, values=values, rate_of=rate_of)


TWO_STEPS = ("objective=unrolled", "objective.steps=2")
INVARIANTS = ("conserve={conserve}",)
SYMMETRIES = ("augmentation=symmetries", "augmentation.boost=0.0")
DYMIXOP = variant("DyMixOp")
UNROLLED = together("DyMixOp, unroll K = 2", *TWO_STEPS)
KEPT = together("DyMixOp, unroll K = 2, invariants", *TWO_STEPS, *INVARIANTS)
SYMMETRIC = together("DyMixOp, unroll K = 2, symmetries", *TWO_STEPS, *SYMMETRIES)
STRUCTURED = together("DyMixOp, unroll K = 2, invariants and symmetries", *TWO_STEPS, *INVARIANTS, *SYMMETRIES)
STRUCTURED_JAWS = together(
    f"{STRUCTURED.name}, JAWS", *TWO_STEPS, *INVARIANTS, *SYMMETRIES, "regularizer=jaws",
    parameter="regularizer.weight", values=WEIGHTS, rate_of=STRUCTURED,
)  # fmt: skip
MATCHED_DYMIXOP, MATCHED_STRUCTURE = (
    together(
        name, "objective=one_step", *structure, "regularizer=jacobian_matching",
        parameter="regularizer.weight", values=MATCHING_WEIGHTS, rate_of=DYMIXOP,
    )
    for name, structure in (
        ("DyMixOp, Jacobian matching", ()),
        ("DyMixOp, invariants and symmetries, Jacobian matching", (*INVARIANTS, *SYMMETRIES)),
    )
)  # fmt: skip
MATCHED_WITHOUT_STENCILS = replace(
    MATCHED_STRUCTURE,
    name="DyMixOp without stencils, invariants and symmetries, Jacobian matching",
    operator=variant("no stencils", f"interaction.stencils={STENCILS['no stencils']}").operator,
)
TOGETHER = (
    DYMIXOP,
    UNROLLED,
    KEPT,
    SYMMETRIC,
    STRUCTURED,
    STRUCTURED_JAWS,
    MATCHED_DYMIXOP,
    MATCHED_STRUCTURE,
    MATCHED_WITHOUT_STENCILS,
)
