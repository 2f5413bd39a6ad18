"""A destriping map-maker in Python: mpirun -n 2 python destriper.py

The timeline of one horn is sky plus noise that drifts. A drift is a constant for each baseline of samples: find the constants a from
F^T Z F a = F^T Z d, with Z = 1 - P (P^T P)^-1 P^T, where P reads the sky at the samples and F spreads constants over baselines. The map is then
that of d - F a. dolmen.mapmaker does the same in Rust, which this script checks itself against.
"""

import tempfile

import h5py
import healpy as hp
import numpy as np

import dolmen as dm


def destripe(file, nside, baseline, rtol):
    """Returns the map of the table in a file, and the report of the solve; `baseline` is in samples."""
    with dm.File(file) as f:
        table = f["data"]
        constants = dm.Layout(len(table) // baseline)
        first, count = constants.range.start * baseline, constants.local_size * baseline
        theta, phi, tod, flag = (table.read_slab([first], [count], field=name) for name in ("THETA", "PHI", "TEMP", "FLAG"))
    good = flag == 0
    sky = dm.Layout(hp.nside2npix(nside))
    # The pixels that this rank's samples see, and which of them each sample sees; other ranks may see the same.
    seen, pixel = np.unique(hp.ang2pix(nside, theta, phi), return_inverse=True)
    plan = dm.Exchange(sky, seen)

    def binned(samples):  # P^T d
        sums = dm.Vector(sky)
        plan.export(np.bincount(pixel, samples * good, len(seen)), sums)
        return sums

    hits = binned(np.ones(count))
    observed = hits.local > 0

    def mean(samples):  # (P^T P)^-1 P^T d
        average = binned(samples)
        average.local[observed] /= hits.local[observed]
        return average

    def normal(samples):  # F^T Z d
        rest = good * (samples - plan.import_(mean(samples))[pixel])
        return rest.reshape(-1, baseline).sum(axis=1)

    A = dm.LinearOperator(constants, lambda a: normal(np.repeat(a.local, baseline)))
    b = dm.array(normal(tod), constants)
    a, report = dm.solve(A, b, method="cg", null_space="constants", rtol=rtol)
    return mean(tod - np.repeat(a.local, baseline)), report


def simulate(file, nside, samples):
    """Writes a table that circles over the sky, with a drift."""
    draw = np.random.default_rng(1)
    time = np.arange(samples)
    theta = np.pi / 2 + 1.2 * np.sin(2 * np.pi * time / 400.3)
    phi = 2 * np.pi * (time / 400.3 * 0.013 + time / 7919.0) % (2 * np.pi)
    table = np.zeros(samples, [(name, "i8" if name == "FLAG" else "f8") for name in ("TIME", "PHI", "THETA", "PSI", "FLAG", "TEMP", "Q", "U")])
    table["THETA"], table["PHI"], table["FLAG"] = theta, phi, draw.random(samples) < 0.01
    table["TEMP"] = np.cos(3 * theta) * np.sin(2 * phi) + 0.01 * draw.standard_normal(samples) + 0.003 * np.cumsum(draw.standard_normal(samples))
    with h5py.File(file, "w") as f:
        f["data"] = table


folder = dm.world.broadcast(tempfile.mkdtemp() if dm.world.rank == 0 else None)
nside, baseline, samples = 16, 50, 60_000
with dm.world.agreeing():
    if dm.world.rank == 0:
        simulate(f"{folder}/tod.h5", nside, samples)
mine, report = destripe(f"{folder}/tod.h5", nside, baseline, rtol=1e-13)
config = {
    "input": {"sample_rate": 1.0, "psi_convention": "COSMO", "coordinates": "C"},
    "map": {"nside": nside, "stokes": "I"},
    "destripe": {"baseline": float(baseline), "tolerance": 1e-13},
}
theirs = dm.mapmaker.run(config, tod=f"{folder}/tod.h5", folder=f"{folder}/maps").maps["destriped"]["I_STOKES"]
all_of_mine = mine.gather()
solved = theirs > -1e30
difference = np.abs(all_of_mine[solved] - theirs[solved]).max()
if dm.world.rank == 0:
    print(report)
    print(f"{solved.sum()} of {len(theirs)} pixels; the largest difference from dolmen.mapmaker is {difference:.1e}")
assert difference < 1e-10 and solved.sum() > 1000
