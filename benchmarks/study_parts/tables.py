"""The tables of the study and the order in which their runs matter."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from . import entries
from .budget import Budget, Steps, TimeOf
from .entries import Entry
from .systems import BURGERS_1E2, BURGERS_5E3, KLEIN_GORDON, KOLMOGOROV, KS_L22, KS_L64, SCHRODINGER, System


@dataclass(frozen=True, kw_only=True)
class Table:
    """One question, and the rows that answer it.

    Attributes:
        number: on the page and on the command line.
        title: of its section.
        question: in words, with what is held equal.
        entries: rows.
        base: name of the row that the others are compared with.
        systems: the flows, the most important first.
        seeds: runs of a row at its chosen value.
        timed: whether training time is held equal instead of steps; values are chosen at equal steps all the same.
        longer: as many times the steps of the system, for the chosen values.
        pairs: names of further rows to compare, each with the second of its pair.
        fewer: the rows on flows that have not all.
        recipes: experiments that are rows at the value that validation chose: the system and the name of the row.
    """

    number: int
    title: str
    question: str
    entries: tuple[Entry, ...]
    base: str
    systems: tuple[System, ...]
    seeds: int = 3
    timed: bool = False
    longer: int = 1
    pairs: tuple[tuple[str, str], ...] = ()
    fewer: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    recipes: Mapping[str, tuple[System, str]] = field(default_factory=dict)

    def budget(self, system: System) -> Budget:
        """What each run may spend."""
        count = self.longer * system.steps.count
        return TimeOf(count) if self.timed else Steps(count)

    def on(self, system: System) -> tuple[Entry, ...]:
        """The rows on a flow."""
        return self.fewer.get(system.name, self.entries)

    def entry(self, name: str) -> Entry:
        """The row of that name."""
        return next(entry for entry in self.entries if entry.name == name)


REFINER = replace(
    entries.ONE_STEP,
    name="PDE-Refiner",
    operator=("operator=refiner", "operator.network.modes={modes}", "operator.network.width={reference}"),
    method=("objective=refinement",),
    parameter="operator.min_noise",
    values=(4e-7, 4e-5, 4e-3),
    rate_of=entries.ONE_STEP,
)
METHODS = (
    entries.ONE_STEP,
    entries.NOISE,
    entries.PUSHFORWARD,
    entries.NO_GRADIENT,
    entries.UNROLL_2,
    entries.UNROLL_5,
    entries.UNROLL_10,
    entries.CHECKPOINTED,
    entries.DIVERTED,
    entries.tuned(
        "teacher forcing",
        "objective=teacher_forcing",
        "objective.steps=5",
        parameter="objective.alpha",
        values=(0.05, 0.2, 0.5),
    ),
    entries.penalised("dissipativity", "dissipativity", values=(1e-3, 1e-2, 1e-1)),
    entries.UNIFORM,
    entries.penalised("spectral norm", "spectral_norm", values=(1e-3, 1e-2, 1e-1)),
    entries.MATCHING,
    REFINER,
    entries.JAWS_1,
    entries.JAWS_2,
    entries.penalised("commutativity", "commutativity", values=(1e-3, 1e-2, 1e-1)),
)
CONTROLS = (
    entries.ONE_STEP,
    entries.JAWS_1,
    entries.JAWS_2,
    entries.UNROLL_2,
    entries.UNIFORM,
    entries.MATCHED,
    entries.ORACLE,
    entries.PERMUTED,
    entries.NOISE,
    entries.UNROLL_10,
    entries.CHECKPOINTED,
)
CHAOS_AND_FRONTS = (KS_L22, BURGERS_1E2)

TABLES = (
    Table(
        number=1,
        title="Which parts of DyMixOp matter",
        question="{stencils on, off} x {product, sum, none}, its gates and its sum over layers, at equal parameters "
        "and steps. How factors meet is `operator.interaction`, how layers follow one another `operator.connection`.",
        entries=entries.ABLATION,
        base="product, stencils",
        systems=CHAOS_AND_FRONTS,
    ),
    Table(
        number=2,
        title="Operators of equal size",
        question="As many true parameters as the Fourier operator, to what whole numbers of channels allow, the same "
        "largest wavenumber, equally many steps, one-step training.",
        entries=entries.ARCHITECTURES,
        base="FNO",
        systems=(*CHAOS_AND_FRONTS, KS_L64, KOLMOGOROV, SCHRODINGER, KLEIN_GORDON),
    ),
    Table(
        number=3,
        title="Operators at equal training time",
        question="The operators of table 2, with as many steps as the same processor time allows.",
        entries=entries.ARCHITECTURES,
        base="FNO",
        systems=CHAOS_AND_FRONTS,
        timed=True,
    ),
    Table(
        number=4,
        title="Ways to train",
        question="One Fourier operator, equally many steps; what a step costs stands beside.",
        entries=METHODS,
        base="one step",
        systems=CHAOS_AND_FRONTS,
    ),
    Table(
        number=5,
        title="Is it the adaptivity? Controls for JAWS",
        question="The Jacobian penalty with weights learned in space, beside a uniform one, one with the same mean "
        "weight, weights from an oracle, weights permuted in space, noise, and unrolls.",
        entries=CONTROLS,
        base="one step",
        systems=(BURGERS_1E2, BURGERS_5E3, KS_L22),
        seeds=5,
        pairs=(
            ("JAWS", "uniform, with the mean weight of JAWS"),
            ("JAWS", "oracle weights"),
            ("JAWS", "JAWS, weights permuted in space"),
            ("JAWS, unroll K = 2", "unroll K = 2"),
            ("JAWS, unroll K = 2", "unroll K = 10"),
            ("JAWS, unroll K = 2", "unroll K = 10, checkpointed"),
        ),
    ),
    Table(
        number=6,
        title="Ways to train, at equal training time",
        question="The ways of table 4, with as many steps as the same processor time allows.",
        entries=METHODS,
        base="one step",
        systems=CHAOS_AND_FRONTS,
        timed=True,
        pairs=tuple((entries.JAWS_2.name, other.name) for other in (entries.UNROLL_2, entries.UNROLL_10)),
    ),
    Table(
        number=7,
        title="Operators of equal size, trained longer",
        question="The first operators of table 2, DyMixOp with narrow second derivatives, and DyMixOp trained as table "
        "9 has it, with five times the steps: what is left of a difference when all of them have learned more.",
        entries=(
            *entries.ARCHITECTURES[:3],
            replace(entries.NARROW, name="DyMixOp, narrow second derivatives"),
            entries.STRUCTURED,
        ),
        base="FNO",
        systems=CHAOS_AND_FRONTS,
        longer=5,
    ),
    Table(
        number=8,
        title="Other readings of JAWS",
        question="Its weights averaged over every state, at the weight of JAWS itself; the Jacobian taken at states of "
        "the data alone, not at the emulator's own too; that of the change of state, the identity taken off; a "
        "one-sided penalty; errors whose variance is learned, alone, beside JAWS' tolerance of the Jacobian, and with "
        "one tolerance for both.",
        entries=(
            entries.ONE_STEP,
            entries.JAWS_1,
            entries.AVERAGED,
            entries.AT_DATA,
            entries.OF_CHANGE,
            entries.HINGE,
            entries.LIKELIHOOD,
            entries.JAWS_APART,
            entries.JAWS_TIED,
        ),
        base="JAWS",
        systems=(BURGERS_1E2, KS_L22),
    ),
    Table(
        number=9,
        title="Together",
        question="What the tables above suggest, in one recipe, at the parameters and steps of the others: two steps "
        "of unrolling; invariants kept exactly, which are the mean of a flow and the mass of Schroedinger's field "
        "(sine-Gordon waves have none that can be); windows moved by the symmetries of the equation; JAWS; the "
        "solver's Jacobian.",
        entries=entries.TOGETHER,
        base="DyMixOp",
        systems=(BURGERS_1E2, KS_L22, KOLMOGOROV, SCHRODINGER, KLEIN_GORDON),
        pairs=(
            (entries.KEPT.name, entries.UNROLLED.name),
            (entries.SYMMETRIC.name, entries.UNROLLED.name),
            (entries.STRUCTURED.name, entries.UNROLLED.name),
            (entries.STRUCTURED.name, entries.KEPT.name),
            (entries.STRUCTURED_JAWS.name, entries.STRUCTURED.name),
            (entries.MATCHED_STRUCTURE.name, entries.STRUCTURED.name),
        ),
        fewer={
            KOLMOGOROV.name: (entries.DYMIXOP, entries.STRUCTURED),
            SCHRODINGER.name: (entries.DYMIXOP, entries.STRUCTURED, entries.MATCHED_STRUCTURE),
            KLEIN_GORDON.name: (
                entries.DYMIXOP,
                entries.UNROLLED,
                entries.SYMMETRIC,
                entries.MATCHED_WITHOUT_STENCILS,
            ),
        },
        recipes={
            "best_burgers": (BURGERS_1E2, entries.MATCHED_STRUCTURE.name),
            "best_klein_gordon": (KLEIN_GORDON, entries.MATCHED_WITHOUT_STENCILS.name),
            "best_ks": (KS_L22, entries.MATCHED_WITHOUT_STENCILS.name),
            "best_navier_stokes": (KOLMOGOROV, entries.STRUCTURED.name),
            "best_nonlinear_schrodinger": (SCHRODINGER, entries.MATCHED_STRUCTURE.name),
        },
    ),
)

# Tables in the order in which they are computed, first on the first of their systems, then on the second.
ORDER = (2, 5, 9, 7, 4, 1, 8, 3, 6)


def order() -> list[tuple[Table, System]]:
    """Every table on every one of its systems, the most important first."""
    ranked = sorted(TABLES, key=lambda table: ORDER.index(table.number))
    depth = max(len(table.systems) for table in TABLES)
    return [(table, table.systems[i]) for i in range(depth) for table in ranked if i < len(table.systems)]
