"""What the page says before its tables."""

from .systems import BURGERS_1E2, BURGERS_5E3, KLEIN_GORDON, KOLMOGOROV, KS_L22, KS_L64, SCHRODINGER

# Rows that need no training, and their keys in the record of floors.
FLOORS = {"solver from a start perturbed by 1e-6": "solver", "persistence": "persistence", "climatology": "climatology"}

SYSTEMS = "\n".join(
    f"| `{system.name}` | {system.words} | {system.steps} | {', '.join(system.outside) or '-'} |"
    for system in (KS_L22, KS_L64, BURGERS_1E2, BURGERS_5E3, KOLMOGOROV, SCHRODINGER, KLEIN_GORDON)
)

HEAD = f"""# What keeps a rollout alive

A controlled study at CPU scale: small flows, small networks, short trainings, one thread a run. It says what is true at
this size and claims nothing beyond. No figure here reproduces a published table.

| system | what | budget of a run | further test sets |
|---|---|---|---|
{SYSTEMS}

Table 2 compares operators on all of them but `burgers_5e3`, which JAWS' controls have beside `burgers_1e2` and
`ks_l22`; table 9 has one flow of each equation, and all of its rows on `burgers_1e2` and `ks_l22`; all other tables
have `ks_l22` and `burgers_1e2`.

**Protocol.** A run is `train.py` with overrides, in a process of its own: AdamW, warm-up and cosine, relative L2 loss,
averaged weights, residual form. Every row has one number to tune and three values to try, each once, with seed 0; the
one with the smallest nRMSE of validation rollouts is run with further seeds. That number is the learning rate, or what
the way to train has of its own; then the learning rate is the one chosen for the way without it, so that a penalty is
compared with none at one learning rate. `least` and `largest` mark a value at an end of those tried, beyond which a
better one may lie. Controls tune nothing: a penalty whose weights are permuted or averaged has the weight of the one
that learns them, a matched one its mean. Weights are those of the best of five validations of a run. Nothing is chosen
on the test split, which is measured once, for chosen values alone. A checkpointed unroll has the gradient of the
unroll; one seed of it, at one learning rate, gives time and memory. The same seed gives the same initial weights to the
same network and, wherever windows are equally long, the same order of the data; so rows are compared seed by seed. Runs
that stop being finite are rows too. Tables share runs: where one of them wants more seeds of a run, all show them.

**What is equal.** Tables 1, 2, 3 and 7: true parameters (every real number that is trained), to what whole widths
allow, and the largest wavenumber that spectral layers keep; a U-Net's widths are multiples of four, so it has up to 26
per cent more. Tables 3 and 6: the processor time that losses and gradients take, that of as many steps of the Fourier
operator as the other tables give it; both take turns before a run, and the median ratio of their times, `FNO's steps a
step`, is what the run of the first seed pays, and all seeds get its steps; measured again for other seeds the ratio
differs by some percent, up to fourteen. Elsewhere: optimiser steps. The values that tables 3, 6 and 7 use were chosen
at the steps of the other tables. DyMixOp as published has the layers of its source, not its training: like all others
it predicts a difference from one frame and is trained on one step, and its gate has one constant, measured on
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
they compare to a factor of three, no better.

**Verdicts** follow a rule: a row is better or worse than the base where the median over seeds of the log ratio is
larger than the spread (largest less least) of that ratio over seeds, with three seeds or more. They are told as
`ratio (spread, p)`: the ratio of errors, so less than one is better; the spread of its logarithm; and the `p` of all
assignments of signs to the differences, with n seeds at least 2 / 2^n. A run that diverged, and any larger error,
counts as an error of 100. No verdict is given where both are below `truth against truth`. Of two rows that do not
differ, the rule calls one better or worse in 9 % of cases with three seeds and in 0.6 % with five (normal differences,
counted by a test): what counts is where several errors and systems agree.

This page is written by `python benchmarks/study.py --report` from `benchmarks/results/study/*.json`.
"""

READING = """## What it says

At this size; each sentence can be checked in the table that it names.

- **Operators** (tables 2 and 7). On Burgers fronts DyMixOp errs less than a Fourier operator of equal size, equal
  wavenumbers and equally many steps, in one step, in ten and over rollouts; a dilated ResNet of that size errs less
  still over rollouts. On Kuramoto-Sivashinsky, L = 22, the medians of its errors after one step and ten are smaller
  too, but not beyond the spread; after five times the steps its error of one step is, and those after ten steps are
  smaller for every seed; trained so long on two steps, with invariants and symmetries, it errs three tenths less in one
  step and ten and more than a third less over rollouts, and its error over rollouts on Burgers is a quarter. On the
  longer box, L = 64, it errs a quarter less after ten steps and over rollouts and predicts 13 % longer; but no free run
  of any seed of it stays in its bounds, and all of it as published do, which rolls out as well and errs less than the
  Fourier operator in one step, too. It takes more memory and time a step. Worse in one step are a U-Net and a dilated
  ResNet on both boxes, U-NO on the shorter and LocalNO on the longer; on the shorter one LocalNO is not told apart, and
  all its seeds have free runs that grow.
- **At equal training time no operator errs less than the Fourier operator** (table 3). A step of DyMixOp takes two and
  a half times its time. On Kuramoto-Sivashinsky, with two fifths of the steps, DyMixOp errs more in one step beyond the
  spread and is not told apart elsewhere; as published, where a step takes a fifth more, it is not told apart at all. On
  Burgers DyMixOp errs a third more after ten steps and a quarter to a third more at larger wavenumbers and smaller
  viscosity; two of three seeds of it as published have hardly begun to learn. A U-Net, a dilated ResNet and U-NO err
  more in one step and ten on both flows.
- **Which stencil sees the second derivative decides, on the shorter box, whether free runs last** (tables 1 and 7,
  Kuramoto-Sivashinsky, L = 22). The narrow difference answers the shortest wave of the grid most, which the data hardly
  hold, so nothing that is trained says what the map does to it: after five times the steps every seed has free runs
  that grow, while the errors of one step and ten are not told apart from a Fourier operator's. With the wide one, which
  leaves that wave alone, no seed has; but on the longer box it does not keep them (table 2). On Burgers fronts the
  narrow one errs a little less after ten steps of rollout, and not any more after five times the training, where its
  medians at larger wavenumbers and amplitudes are half as large again as the wide one's.
- **Which parts of DyMixOp matter** (table 1, both flows). That local and global factors meet at all: where they do not,
  errors are several times to a hundred times as large. Whether they are multiplied or added is told apart in one error
  alone: added, with stencils, ten steps on Burgers err a fifth more. One gate for all layers, and the last stage
  instead of a sum over layers, change no error beyond the spread; no gate at all errs a quarter more on Burgers where
  wavenumbers are larger and a sixth more where viscosity is smaller than in training. Layers side by side err up to
  twice as much on Kuramoto-Sivashinsky, and more on Burgers at larger wavenumbers. Without a limit of the local factor
  one seed on Burgers has twenty times the error in one step and ten, and on Kuramoto-Sivashinsky ten steps err 7 %
  more.
- **Stencils at all** (table 1): without them the attractor's spectrum is further off on Kuramoto-Sivashinsky, and on
  Burgers fronts the median errors of one step and ten are two thirds as large again to twice. In the linear map alone,
  not in the local factor, they err less on Burgers in one step and ten, and more on Kuramoto-Sivashinsky in one step
  and in the spectrum.
- **What JAWS does is not seen to depend on where it is strong** (table 5). On all three flows it is told apart neither
  from a uniform penalty of its own mean weight nor from its own weights permuted in space. On Burgers, nu = 0.01, a
  uniform penalty with the largest weight tried errs less than none over rollouts, and JAWS does not: validation chose a
  smaller weight for it. Oracle weights, weak where the state is steep, do as well as the uniform one, and better than
  JAWS; at nu = 0.005, at the largest weight tried, they err less than none over rollouts for every seed.
- **What JAWS learns** (tables 5, 6 and 8). On Kuramoto-Sivashinsky tolerances that are larger where the rows of the
  solver's own Jacobian are, and where the flow is compressed, with rank correlations of 0.5 to 0.65 in the median of
  every row but the one without the identity (0.3 to 0.4). On Burgers hardly any correlation with those rows. There,
  alone, at the weight that validation chose, tolerances tend to be smaller where the flow is compressed (-0.28 at nu =
  0.01, -0.16 at 0.005); at nu = 0.01 and ten times that weight, which validation chose on two steps, they are larger
  there (0.54), but smaller (-0.25) after a fifth of the steps. What they say of a place depends on weight and training,
  not on the solver's sensitivity.
- **Other readings of JAWS** (table 8). One weight for all points of a state, the mean of the learned ones, differs from
  JAWS in no error but the spectrum on Kuramoto-Sivashinsky, which is 2 % nearer the truth's: once more it is not seen
  to depend on where it is strong. With the Jacobian at states of the data alone, without its identity, or one-sided,
  and with errors whose variance is learned beside, validation chose the smallest weight on Kuramoto-Sivashinsky, and
  spectra are 10 to 25 % further off; no such reading is better on Burgers. Of one tolerance for errors and Jacobian the
  error is twice as large on Burgers, in one step and in ten, and the spectrum the nearest on Kuramoto-Sivashinsky.
- **Penalties keep free runs bounded where they are strong enough** (table 5, Kuramoto-Sivashinsky): with one-step
  training some seeds have runs that leave their bounds, and so with a uniform penalty at the weight that validation
  chose, and with the oracle's. With ten times that weight, learned or uniform, no seed has. Nor has unrolling.
- **Unrolling** (table 5). Ten steps lose accuracy in one step: on Kuramoto-Sivashinsky beyond the spread, on Burgers at
  nu = 0.01 for every seed. On Burgers they gain over rollouts, most where amplitudes or wavenumbers are larger than in
  training, at nine times the time (table 6) and seven times the memory of one step; with checkpoints at a fifth more
  memory and still more time. Two steps gain part of it at twice the time.
- **JAWS on two steps** (table 5). On Burgers median rollouts lie between those of two steps and ten, with two thirds of
  the memory of ten and half of the time (table 6). At nu = 0.01 its error in one step is twice that of one-step
  training and of two steps without it, and after ten steps a third more than that of two steps, beyond the spread. At
  nu = 0.005, where fronts are twice as steep, it errs a fifth less over rollouts than two steps without it and a third
  less at larger wavenumbers, beyond the spread; ten steps err less than it over rollouts for every seed, and after ten
  steps beyond the spread. On Kuramoto-Sivashinsky it errs less than ten steps do, in one step and in the attractor's
  spectrum beyond the spread, after ten steps for every seed, with two thirds of the memory; two steps without it do
  nearly as well.
- **Steeper fronts make one-step training a matter of luck** (table 5, Burgers at nu = 0.005). One of five seeds errs
  four times as much as the others in one step and has free runs that leave their bounds, and so it has with penalties
  at the weights that validation chose, though hardly any with the oracle's; with unrolling no seed has, and none with
  input noise. So nothing differs from one step beyond the spread, and unrolling, with JAWS or without, input noise and
  oracle weights err less over rollouts for every seed.
- **Ways to train at equal steps** (table 4) differ little on Kuramoto-Sivashinsky. What trains on states that the
  emulator made, without a gradient through them, pushforward and unrolling without gradient, errs 7 % less over
  rollouts, and matching the solver's Jacobian 9 %. The diverted chain, which asks the solver at such states, predicts
  2.6 % longer and has a spectrum nearer the truth's. Unrolls of five steps and of ten lose in one step and are not told
  apart over rollouts. Bounds of the spectral norm, dissipativity and commutativity do best with the smallest weight
  tried, and gain nothing in rollouts. PDE-Refiner errs ten times as much: as many steps do not train it. Two of five
  seeds of one-step training have free runs that grow, and as many with the uniform Jacobian penalty; of the other ways
  no seed has, but all of PDE-Refiner.
- **On Burgers six of sixteen ways to train gain over rollouts beyond the spread** (table 4), where fronts last and
  errors add up: bounding the spectral norm an eighth; teacher forcing, five unrolled steps, the diverted chain and a
  uniform penalty err a third to nearly half less than one step, matching the solver's Jacobian two thirds less. What is
  gained is often larger for waves that training has not seen: of amplitudes half as large again ten unrolled steps
  leave a third of the error, of larger wavenumbers Jacobian matching a quarter. Some pay for it in one step:
  pushforward, unrolling and the diverted chain without gradient, JAWS on two steps. Only Jacobian matching errs less
  there, too.
- **The solver's Jacobian helps most at equal steps** (tables 4 and 9). DyMixOp that matches it on random directions has
  smaller errors than plain DyMixOp after one step, ten and over rollouts, beyond the spread: in all three forms on
  Kuramoto-Sivashinsky, where the one without stencils rolls out best, and with invariants and symmetries on Burgers,
  with stencils or without, and on Schroedinger waves; there, and on Kuramoto-Sivashinsky, it errs less beyond the
  spread than two steps with the same invariants and symmetries, too. No other way to train does so on all three. Alone
  it is not told apart on Burgers, but for larger amplitudes and wavenumbers. On Kuramoto-Sivashinsky its free runs have
  the spectrum nearest the truth's. A Fourier operator gains in rollouts and spectrum there, not in one step or ten, and
  on Burgers in every error. It needs a solver, and several times the time of a step: on Kuramoto-Sivashinsky plain
  training of five times the steps, which takes half as long again, has smaller medians still, and a spectrum further
  off (table 7).
- **At equal training time plain one-step training errs least** (table 6), but for input noise over rollouts on Burgers,
  a third less. What takes a multiple of a step mostly loses more by the steps that it cannot pay than it gains:
  unrolling, JAWS, uniform penalties and Jacobian matching err more after one step and ten, beyond the spread, on both
  flows. JAWS on two steps errs more than two steps without it on both; than ten steps it errs less on
  Kuramoto-Sivashinsky, and is hardly told apart from them on Burgers. The spectrum of free runs is nearer the truth's
  with input noise, pushforward and Jacobian matching. At this budget no network is trained out: with a larger one the
  order may change.
- **Structure** (table 9). On Burgers it is the mean that counts: kept exactly, on two steps, it brings the error of
  rollouts to two fifths of that of two steps alone, and at larger wavenumbers to a quarter. Windows moved by the
  symmetries gain little there, and on top of the mean lose at larger amplitudes; JAWS on top of both errs a sixth less
  over rollouts and a tenth more after ten steps. On Schroedinger waves mass and symmetries, on two steps, bring the
  error of one step and ten to a third and keep every free run bounded. On Kuramoto-Sivashinsky either errs an eighth to
  a sixth less over rollouts than two steps alone, both together are not told apart from them, and JAWS on top of both
  has a spectrum nearer the truth's and errs 5 % more over rollouts than plain DyMixOp.
- **Waves** (tables 2 and 9). On Schroedinger waves DyMixOp trained on one step, LocalNO and U-NO err more over rollouts
  than a Fourier operator of that size; a dilated ResNet, at four times the time a step, is not told apart from it. Of
  sine-Gordon waves DyMixOp as published errs a third less in one step and two fifths less in ten; a U-Net and LocalNO
  err 1.7 to 2.8 times as much, a dilated ResNet and U-NO are not told apart. On both, every seed of DyMixOp and all but
  one of it as published have free runs that leave their bounds. On sine-Gordon waves, of which no projection keeps
  anything, two steps mend that for two seeds of three, with symmetries for none; without stencils, and matching the
  Jacobian, nearly all free runs stay bounded, and no seed rolls out worse than the Fourier operator. With stencils
  matching rolled out worse on validation at each of the three weights tried (0.042 at best, against 0.019), and was not
  run further.
- **Kolmogorov flow** (tables 2 and 9). DyMixOp errs less than a Fourier operator beyond the spread, in one step, in ten
  and over rollouts, a U-Net in ten and over rollouts; the spectrum of free runs of both is further off. LocalNO errs
  nearly twice as much in one step and ten; all seeds of it, of U-NO and of DyMixOp as published have free runs that
  leave their bounds. Two steps with invariants and symmetries, better than DyMixOp on one step for every seed on
  validation rollouts, are not told apart from it on the test split, and one seed has a free run that leaves its bounds.
- **Input noise** is worse than none in one step on Kuramoto-Sivashinsky. On Burgers three seeds of it roll out better
  than none by a third, and better still at larger wavenumbers (table 6); of five, at equal steps, one has a free run
  that leaves its bounds, and the rest varies too much to say (table 4). At nu = 0.005, with the largest noise tried, it
  errs a third less over rollouts, for every seed, and more in one step for most (table 5).
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

RECIPES = """Recipes for `python train.py experiment=<name>`, each a row of table 9 at the size and steps of all others:
"""
