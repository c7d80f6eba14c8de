"""What the page says before its tables."""

from .systems import BURGERS_1E2, BURGERS_5E3, KLEIN_GORDON, KOLMOGOROV, KS_L22, KS_L64, SCHRODINGER

# Rows that need no training, and their keys in the record of floors.
FLOORS = {"solver from a start perturbed by 1e-6": "solver", "persistence": "persistence", "climatology": "climatology"}

SYSTEMS = "\n".join(
    f"| `{system.name}` | {system.words} | {system.steps} or {system.seconds} | {', '.join(system.outside) or '-'} |"
    for system in (KS_L22, KS_L64, BURGERS_1E2, BURGERS_5E3, KOLMOGOROV, SCHRODINGER, KLEIN_GORDON)
)

HEAD = f"""# What keeps a rollout alive

A controlled study at CPU scale: small flows, small networks, short trainings, one thread a run. It says what is true at
this size and claims nothing beyond. No figure here reproduces a published table.

| system | what | budget of a run | further test sets |
|---|---|---|---|
{SYSTEMS}

**Protocol.** A run is `train.py` with overrides, in a process of its own: AdamW, warm-up and cosine, relative L2 loss,
averaged weights, residual form. Every row has one number to tune and three values to try, each once, with seed 0; the
one with the smallest nRMSE of validation rollouts is run with further seeds. That number is the learning rate, or what
the way to train has of its own; then the learning rate is the one chosen for the way without it, so that a penalty is
compared with none at one learning rate. `least` and `largest` mark a value at an end of those tried, beyond which a
better one may lie. Two controls tune nothing: a permuted penalty has the weight of the one that it permutes, a matched
one its mean. Weights are those of the best of five validations of a run. Nothing is chosen on the test split, which is
measured once, for chosen values alone. A checkpointed unroll has the gradient of the unroll; one seed of it, at one
learning rate, gives time and memory. The same seed gives the same initial weights to the same network and, wherever
windows are equally long, the same order of the data; so rows are compared seed by seed. Runs that stop being finite are
rows too. Tables share runs: where one of them wants more seeds of a run, all show them.

**What is equal.** Tables 1, 2, 3 and 7: true parameters (every real number that is trained), to what whole widths
allow, and the largest wavenumber that spectral layers keep; a U-Net's widths are multiples of four, so it has up to a
quarter more. Tables 3 and 6: processor seconds that losses and gradients take, by a measurement before the run of the
first seed, whose steps all seeds get. Elsewhere: optimiser steps. The values that tables 3, 6 and 7 use were chosen at
the steps of the other tables. DyMixOp as published has the layers of its source, not its training: like all others it
predicts a difference from one frame and is trained on one step, and its gate has one constant, measured on
Kuramoto-Sivashinsky, everywhere.

**Figures** are `median [least, largest]` over seeds that stayed finite of medians over test rollouts. nRMSE, GMean,
correlation time and valid prediction time (VPT) are those of `rollwave.evaluation.metrics`; times are in the unit of
the equation. `bounded` is the share of free runs, the truth's length and `extend` steps more, that stay within five
times the data's rms. `log spectrum`, `Hellinger in time` and `state space` are the attractor's distances: mean
`|log10|` of spectra averaged over time, Hellinger distance of spectra in time, and the Kullback-Leibler divergence of
densities of states on eight whitened principal components; `Wasserstein` is that of values at points. They compare
those runs that stay finite from one half of the test split with the truth of the other, and `truth against truth` is
what two halves of the truth say of each other: what lies below it is not told apart from the truth. `lambda_1` is the
leading exponent of the learned map by products of its Jacobian, `sigma_max` the largest stretch of one step. Fronts are
compared with the truth's in steepness, total variation, place, energy lost and mass. `drift` of an invariant is its
error at the end of the test rollout, relative to the truth's. The solver that starts perturbed by 1e-6 sees the stored
points: where it was solved on more of them, what is lost between weighs more than the perturbation. `mean weight` is
JAWS' `alpha exp(-s)` in the mean over space and validation states; `s with` are rank correlations of its tolerances
over space, with the row energies of the solver's own Jacobian and with the compression. `peak MiB` is the largest sum
of tensors that operations made and that lived at one time in a loss and its gradient, `saved MiB` what the loss keeps
for its gradient, each storage once. Seconds are those of machines that did other work beside and were not equally fast:
they compare to a factor of two, no better.

**Verdicts** follow a rule: a row is better or worse than the base where the median over seeds of the log ratio is
larger than the spread (largest less least) of that ratio over seeds, with three seeds or more. They are told as
`ratio (spread, p)`: the ratio of errors, so less than one is better; the spread of its logarithm; and the `p` of all
assignments of signs to the differences, with n seeds at least 2 / 2^n. A run that diverged, and any larger error,
counts as an error of 100. No verdict is given where both are below `truth against truth`. Of two rows that do not
differ, the rule calls one better in 9 % of cases with three seeds and in 0.7 % with five (normal differences): what
counts is where several errors and systems agree.

This page is written by `python benchmarks/study.py --report` from `benchmarks/results/study/*.json`.
"""

READING = """## What it says

Of the flows that are measured so far, at this size; each sentence can be checked in the table that it names.

- **Operators** (tables 2 and 7). On Burgers fronts DyMixOp errs less than a Fourier operator of equal size, equal
  wavenumbers and equally many steps: in one step, in ten, over rollouts and on every further test set; after five times
  the steps still in one step, in ten and over rollouts. It costs more time a step. On Kuramoto-Sivashinsky, L = 22, it
  errs a little less after ten steps and is otherwise not told apart; a U-Net is worse in one step. Others there have
  too few seeds, but for DyMixOp as published, which is not told apart.
- **The product of DyMixOp needs a bounded factor** (table 1, Burgers). Without it some validation rollouts blow up with
  every rate and seed that was tried, or weights of a few steps are the best there are. Seeds then differ so much that
  the rule tells one error alone apart.
- **JAWS alone** (table 5, Kuramoto-Sivashinsky) is not told apart from one-step training, nor from a uniform penalty,
  one of the same mean weight, weights from an oracle, or its own weights permuted in space. What it does there is not
  owed to where it is strong.
- **JAWS and two steps of unrolling** (table 5) err less in one step than ten steps of unrolling and are not told apart
  from them later, with less memory and time a step. Ten steps with checkpoints need less memory than either, and more
  time. The attractor of JAWS with two steps is a little further off than that of one-step training.
- **Input noise** is worse than none in one step and in ten; ten steps of unrolling lose one-step accuracy and gain
  nothing beyond the spread (table 5).
- **Together** (table 9, Burgers): with the mean of the field kept exactly and windows moved by the equation's
  symmetries, DyMixOp with two unrolled steps halves its error; JAWS on top changes it little.
"""

SHORT = """## In short

Rows that differ from the base of their table beyond the spread over seeds, with the ratio of errors; less than one is
better.

| error | base | better | worse | no difference beyond the spread |
|---|---|---|---|---|"""

LOST = """Rows with seeds that diverged in training, or of which some free run leaves five times the data's rms:

| table | system | rows |
|---|---|---|"""

BEST = """Rows that roll out best on the validation split, of all tables at equal steps, with three seeds or more; all
of a system are of one size, as tables 1 and 2 have it.
"""
