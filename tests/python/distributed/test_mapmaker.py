import pathlib

import h5py
import numpy as np
import pytest

import dolmen as dm

CONFIG = {
    "map": {"nside": 8},
    "destripe": {"baseline": 30.0},
    "simulate": {"hours": 0.5, "sample_rate": 4.0, "sky_nside": 8},
}


def test_maps_as_arrays(in_shared_folder):
    samples, sky = dm.mapmaker.simulate(CONFIG, "tod.h5")
    assert samples == 4 * 1800 * 4
    seen = []
    compared = {**CONFIG, "output": {"folder": "named", "compare": sky}}
    result = dm.mapmaker.run(compared, tod="tod.h5", monitor=lambda progress: seen.append(progress.iteration))
    assert result.folder.endswith("named") and result.report.converged and seen[-1] == result.report.iterations
    destriped = result.maps["destriped"]
    assert destriped.nside == 8 and destriped.ordering == "RING" and destriped.polarization == "COSMO"
    assert list(destriped) == ["I_STOKES", "Q_STOKES", "U_STOKES"] and destriped["I_STOKES"].shape == (768,)
    assert result.pixels_solved == (destriped["I_STOKES"] > -1e30).sum()
    truth = dm.mapmaker.read_map(sky)
    solved = destriped["I_STOKES"] > -1e30
    assert np.std((destriped["I_STOKES"] - list(truth.values())[0])[solved]) < np.std(list(truth.values())[0][solved])
    assert result.residuals and "<table>" in result._repr_html_()
    temporary = dm.mapmaker.run({**CONFIG, "destripe": {"enabled": False}}, tod="tod.h5")
    assert temporary.report is None and temporary.gls_report is None and "destriped" not in temporary.maps
    least_squares = {**CONFIG, "destripe": {"enabled": False}, "gls": {"enabled": True}}
    best = dm.mapmaker.run(least_squares, tod="tod.h5")
    assert best.report is None and best.gls_report.converged
    difference = best.maps["gls"]["I_STOKES"][solved] - list(truth.values())[0][solved]
    assert np.std(difference) < 1.1 * np.std((destriped["I_STOKES"] - list(truth.values())[0])[solved])


def halved(name):
    """Write the halves of the timelines `name` to files of their own, an observation each."""
    with h5py.File(name) as whole:
        scan = whole["observations/scan"]
        samples = scan["signal"].shape[1]
        for part, time in (("first", slice(0, samples // 2)), ("second", slice(samples // 2, samples))):
            with h5py.File(f"{part}.h5", "w") as file:
                file.attrs.update(whole.attrs)
                file["detectors"] = whole["detectors"][()]
                group = file.create_group(f"observations/{part}")
                group.attrs["sample_rate"] = scan.attrs["sample_rate"]
                group["signal"], group["boresight"] = scan["signal"][:, time], scan["boresight"][time]


def test_several_files_and_maps_of_parts(in_shared_folder):
    dm.mapmaker.simulate(CONFIG, "tod.h5")
    if dm.world.rank == 0:
        halved("tod.h5")
    dm.world.barrier()
    sets = {"pair": ["A_*"], "rest": ["B_M", "B_S"]}
    config = {**CONFIG, "output": {"pictures": False, "splits": ["halves", "detectors"], "detector_sets": sets}}
    result = dm.mapmaker.run(config, tod=["first.h5", pathlib.Path("second.h5")], folder="parts")
    maps = result.maps
    for name in ("half1", "half2", "pair", "rest"):
        assert set(maps[f"destriped_{name}"]) == {"I_STOKES", "Q_STOKES", "U_STOKES"}
    for one, other in (("half1", "half2"), ("pair", "rest")):
        np.testing.assert_array_equal(maps[f"hits_{one}"]["HITS"] + maps[f"hits_{other}"]["HITS"], maps["hits"]["HITS"])

    def weighted(part):
        covariance, values = maps[f"covariance{part}"], maps[f"destriped{part}"]
        names = [["II", "IQ", "IU"], ["IQ", "QQ", "QU"], ["IU", "QU", "UU"]]
        blocks = np.moveaxis(np.array([[covariance[name] for name in row] for row in names]), 2, 0)
        vectors = np.array(list(values.values())).T
        solved = vectors[:, 0] > -1e30
        sides = np.zeros_like(vectors)
        sides[solved] = np.linalg.solve(blocks[solved], vectors[solved][..., None])[..., 0]
        return sides, solved

    (whole, _), (first, in_first), (second, in_second) = (weighted(part) for part in ("", "_half1", "_half2"))
    both = in_first & in_second
    assert both.sum() > 50
    np.testing.assert_allclose((first + second)[both], whole[both], rtol=1e-9, atol=1e-9 * np.abs(whole).max())
    again = dm.mapmaker.run({**CONFIG, "input": {"tod": ["first.h5", "sec*.h5"]}}, folder="again")
    np.testing.assert_array_equal(again.maps["destriped"]["Q_STOKES"], maps["destriped"]["Q_STOKES"])
    alone = dm.mapmaker.run({**CONFIG, "input": {"observations": ["first"], "detectors": ["A_M", "B_M"]}}, tod=["*t.h5", "second.h5"])
    assert 0 < alone.maps["hits"]["HITS"].sum() < maps["hits_half1"]["HITS"].sum()
    with pytest.raises(dm.FileError, match="no file matches this pattern"):
        dm.mapmaker.run(CONFIG, tod=["third*.h5"], folder="x")
    with pytest.raises(dm.FileError, match='there is no detector "A_X"'):
        dm.mapmaker.run({**CONFIG, "input": {"detectors": ["A_X"]}}, tod="first.h5", folder="x")
    for wrong in ([], ["first.h5", 3], {"first.h5": 1}):
        with pytest.raises(TypeError, match="^tod="):
            dm.mapmaker.run(CONFIG, tod=wrong, folder="x")


def test_templates_take_drifts_away(in_shared_folder):
    dm.mapmaker.simulate(CONFIG, "tod.h5")
    config = {
        **CONFIG,
        "destripe": {"baseline": 30.0, "tolerance": 1e-9},
        "templates": [{"kind": "legendre", "order": 2}, {"kind": "fourier", "harmonics": 1}],
        "output": {"pictures": False},
    }
    plain = dm.mapmaker.run(config, tod="tod.h5", folder="plain")
    drift = np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.0], [4.0, 1.0]]) * 1e-3
    if dm.world.rank == 0:
        with h5py.File("tod.h5", "r+") as file:
            signal = file["observations/scan/signal"]
            place = (2 * np.arange(signal.shape[1]) + 1) / signal.shape[1] - 1
            signal[...] += np.array([np.polynomial.legendre.legval(place, [0, *row]) for row in drift])
    dm.world.barrier()
    drifting = dm.mapmaker.run(config, tod="tod.h5", folder="drifting")
    for name, values in plain.maps["destriped"].items():
        np.testing.assert_allclose(drifting.maps["destriped"][name], values, rtol=1e-6, atol=1e-8)
    with h5py.File("plain/baselines.h5") as before, h5py.File("drifting/baselines.h5") as after:
        found = after["templates/amplitude"][()] - before["templates/amplitude"][()]
        assert list(after["templates/names"]["name"]) == [b"legendre 1", b"legendre 2", b"cos 1", b"sin 1"]
    np.testing.assert_allclose(found, np.hstack([drift, np.zeros((4, 2))]), atol=1e-7)
    with pytest.raises(dm.SettingError, match=r"^the configuration.*unknown value \"legndre\"; did you mean \"legendre\"\?"):
        dm.mapmaker.run({**CONFIG, "templates": [{"kind": "legndre", "order": 2}]}, tod="tod.h5", folder="x")
    with pytest.raises(TypeError, match=r"^the configuration\['templates'\]\[0\] is 3"):
        dm.mapmaker.run({**CONFIG, "templates": [3]}, tod="tod.h5", folder="x")


def test_noise_of_timelines(in_shared_folder):
    noisy = {"hours": 2.0, "interval": 0.5, "sample_rate": 8.0, "sky_nside": 8, "net": 2e-5, "fknee": 0.2, "alpha": 1.5, "fmin": 1e-3}
    config = {**CONFIG, "simulate": noisy}
    _, sky = dm.mapmaker.simulate(config, "tod.h5")
    noise = dm.mapmaker.noise(config, tod="tod.h5", sky=sky, write="noise.h5", plot="noise.png")
    assert noise.units == "K_CMB" and list(noise.detectors) == ["A_M", "A_S", "B_M", "B_S"] and len(noise.intervals) == 16
    for name, fit in noise.detectors.items():
        for found, error, expected in ((fit.net, fit.net_error, 2e-5), (fit.fknee, fit.fknee_error, 0.2), (fit.alpha, fit.alpha_error, 1.5)):
            assert abs(found - expected) < 4.5 * error < expected, name
        spectrum = noise.spectra[name]
        high = spectrum["frequency"] > 2.0
        np.testing.assert_allclose(spectrum["power"][high].mean(), 4e-10, rtol=0.1)
        np.testing.assert_allclose(spectrum["fit"][high].mean(), 4e-10, rtol=0.1)
    assert {interval.observation for interval in noise.intervals} == {"scan"} and "A_M" in noise.table
    with h5py.File("noise.h5") as written, h5py.File("tod.h5") as timelines:
        assert list(written["detectors"]["net"]) == [fit.net for fit in noise.detectors.values()]
        assert written["detectors"].dtype.names == timelines["detectors"].dtype.names
        assert len(written["intervals"]) == 16
    mapped = {**config, "input": {"noise": "noise.h5"}, "output": {"pictures": False}}
    fitted = dm.mapmaker.run(mapped, tod="tod.h5", folder="fitted")
    given = dm.mapmaker.run({**config, "output": {"pictures": False}}, tod="tod.h5", folder="given")
    ratio = fitted.maps["covariance"]["II"] / given.maps["covariance"]["II"]
    seen = given.maps["covariance"]["II"] > -1e30
    assert (ratio[seen] != 1.0).all() and abs(ratio[seen] - 1.0).max() < 0.1
    own = dm.mapmaker.noise(config, tod="tod.h5", folder="given")
    assert all(abs(fit.net / 2e-5 - 1) < 0.05 for fit in own.detectors.values())
    alone = dm.mapmaker.noise(config, tod=["tod.h5"], sky=False)
    assert all(fit.chi_square < 2 and alone.detectors[name].chi_square > 10 for name, fit in noise.detectors.items())
    with pytest.raises(dm.SettingError, match="there is no map of a run"):
        dm.mapmaker.noise(config, tod="tod.h5")
    with pytest.raises(dm.Error, match="is the input tod.h5"):
        dm.mapmaker.noise(config, tod="tod.h5", sky=False, write="tod.h5")
    for wrong in ({"sky": 3}, {"write": 3}, {"allow_external": 1}):
        with pytest.raises(TypeError, match=f"^{next(iter(wrong))}="):
            dm.mapmaker.noise(config, tod="tod.h5", **wrong)


def tables(name, detectors, **cards):
    """Write a FITS file with a table of random samples for each detector, and return the samples."""
    fits = pytest.importorskip("astropy.io.fits")
    random = np.random.default_rng(len(name))
    hdus, written = [fits.PrimaryHDU()], {}
    for detector in detectors:
        values = {"THETA": random.uniform(0, 3, 500), "PHI": random.uniform(0, 6, 500), "PSI": random.uniform(0, 3, 500), "TSKY": random.normal(size=500)}
        columns = [fits.Column(name=column, format="D", unit="K_CMB" if column == "TSKY" else "rad", array=array) for column, array in values.items()]
        hdus.append(fits.BinTableHDU.from_columns(columns, name=detector))
        hdus[-1].header.update(cards)
        written[detector] = values
    if dm.world.rank == 0:
        fits.HDUList(hdus).writeto(name)
    dm.world.barrier()
    return written


def test_timelines_of_other_programs(in_shared_folder):
    written = tables("scan.fits", ["A1", "A2", "B"], FSAMP=10.0)
    given = {"net": {"*": 1.0, "B": 2.0}, "fknee": 0.0, "coordinates": "G", "psi_convention": "COSMO"}
    assert dm.mapmaker.import_tod("scan.fits", "tod.h5", **given) == 1500
    with h5py.File("tod.h5") as file:
        assert file["detectors"]["net"].tolist() == [1.0, 1.0, 2.0] and file.attrs["coordinates"] == "G"
        for name, column in (("theta", "THETA"), ("phi", "PHI"), ("psi", "PSI"), ("signal", "TSKY")):
            np.testing.assert_array_equal(file[f"observations/scan/{name}"][()], [values[column] for values in written.values()])
    dm.world.barrier()
    assert dm.mapmaker.run({"map": {"nside": 1}}, tod="tod.h5").maps["hits"]["HITS"].sum() == 1500
    assert dm.mapmaker.import_tod([pathlib.Path("scan.fits")], "again.h5", **{**given, "fknee": float("nan")}, pol_efficiency=0.5) == 1500
    needs = r"scan.fits: HDU 1 \(A1\): does not say all that timelines need; add fknee=HZ .*, coordinates=FRAME .*psi_convention=CONVENTION"
    with pytest.raises(dm.FileError, match=needs) as raised:
        dm.mapmaker.import_tod("scan.fits", "new.h5", net=1.0)
    assert raised.value.filename.endswith("scan.fits") and not pathlib.Path("new.h5").exists()
    with pytest.raises(dm.Error, match="is the input scan.fits"):
        dm.mapmaker.import_tod("scan.fits", "scan.fits", **given)
    for wrong, kind in [({"net": "1"}, TypeError), ({"net": {"B": None}}, TypeError), ({"units": 3}, TypeError), ({"allow_external": 1}, TypeError),
                        ({"sample_rate": "10"}, TypeError), ({"coordinates": "H"}, ValueError), ({"net": {"[": 1.0}}, ValueError)]:
        ((name, _),) = wrong.items()
        with pytest.raises(kind, match=f"^{name}"):
            dm.mapmaker.import_tod("scan.fits", "new.h5", **{**given, **(wrong if dm.world.rank == 0 or kind is ValueError else {})})


@pytest.mark.parametrize(
    ("section", "settings", "text"),
    [
        ("map", {"nside": 7}, "the configuration: nside is 7"),
        ("map", {"nsidee": 8}, "the configuration['map']['nsidee']: unknown key \"nsidee\"; did you mean \"nside\"?"),
        ("map", {"nside": "8"}, "the configuration['map']['nside']: invalid type"),
        ("map", {"nside": 8, "ordering": "spiral"}, "the configuration['map']['ordering']: unknown value \"spiral\""),
        ("mapp", {"nside": 8}, "the configuration['mapp']: unknown key \"mapp\""),
        ("destripe", {"baseline": -1.0}, "the configuration: destripe.baseline is -1"),
        ("destripe", {"a b": 1}, "the configuration['destripe']['a b']: unknown key \"a b\""),
        ("simulate", {"hours": 0}, "the configuration: simulate.hours is 0"),
    ],
)
def test_settings_that_are_refused(section, settings, text):
    for call in (lambda config: dm.mapmaker.run(config, tod="none.h5", folder="x"), lambda config: dm.mapmaker.simulate(config, "none.h5")):
        with pytest.raises(dm.SettingError) as raised:
            call({"map": {"nside": 8}, section: settings})
        assert str(raised.value).startswith(text) and raised.value.kind == "Config" and "\n" not in str(raised.value)


def test_files_and_arguments_that_are_refused(in_shared_folder):
    dm.mapmaker.simulate(CONFIG, "tod.h5")
    if dm.world.rank == 0:
        with open("bad.toml", "w") as file:
            file.write("[map]\nnside = 8\nnsidee = 8\n")
    dm.world.barrier()
    run = dm.mapmaker.run
    with pytest.raises(dm.SettingError, match=r"^bad.toml:3: unknown key"):
        run("bad.toml", folder="x")
    with pytest.raises(dm.SettingError, match="tod.h5: is not a text"):
        run("tod.h5", folder="x")
    with pytest.raises(FileNotFoundError):
        run("missing.toml")
    for config, given, name in [
        ({"map": {"nside": 8}, "input": {"tod": "none.h5"}}, {}, "none.h5"),
        (CONFIG, {"tod": "bad.toml"}, "bad.toml"),
        (CONFIG, {"folder": "bad.toml"}, "bad.toml"),
        (CONFIG, {"checkpoint": "bad.toml"}, "bad.toml"),
        ({**CONFIG, "output": {"compare": "none.fits"}}, {}, "none.fits"),
    ]:
        with pytest.raises(dm.FileError, match=name) as raised:
            run(config, **{"tod": None if "input" in config else "tod.h5", "folder": "x", **given})
        assert raised.value.filename.endswith(name)
    for wrong in ({"tod": 3}, {"folder": 3}, {"checkpoint": 3}, {"monitor": 3}, {"resume": 2}, {"allow_external": "no"}):
        ((name, value),) = wrong.items()
        with pytest.raises(TypeError, match=f"^{name}={value!r}: "):
            run(CONFIG, **{"tod": "tod.h5", "folder": "x", **(wrong if dm.world.rank == 0 else {})})
    for wrong, kind in [(3, TypeError), ({"map": 5}, TypeError), ({"map": {3: 5}}, TypeError), ({"map": {"nside": {}}}, ValueError)]:
        with pytest.raises(kind, match="the configuration"):
            run(wrong, folder="x")
    with pytest.raises(ValueError, match="duration"):
        run(CONFIG, tod="tod.h5", folder="x", every="soon")


def test_a_size_beyond_the_memory_is_a_memory_error(in_shared_folder):
    dm.mapmaker.simulate(CONFIG, "tod.h5")
    with pytest.raises(MemoryError, match="nside"):
        dm.mapmaker.run({"map": {"nside": 2**25}}, tod="tod.h5", folder="x")


def test_a_run_is_resumed(in_shared_folder):
    dm.mapmaker.simulate(CONFIG, "tod.h5")
    whole = dm.mapmaker.run(CONFIG, tod="tod.h5", folder="whole")

    def stop(progress):
        return progress.iteration >= 3

    with pytest.raises(dm.NotConvergedError, match="stopped"):
        dm.mapmaker.run(CONFIG, tod="tod.h5", folder="part", monitor=stop, checkpoint="ck")
    part = dm.mapmaker.run(CONFIG, tod="tod.h5", folder="part", checkpoint="ck", resume=True)
    assert part.report.iterations == whole.report.iterations
    for name in whole.maps["destriped"]:
        np.testing.assert_array_equal(part.maps["destriped"][name], whole.maps["destriped"][name])
