import numpy as np
import pytest

import dolmen as dm

CONFIG = {
    "map": {"nside": 8},
    "destripe": {"baseline": 30.0},
    "simulate": {"hours": 2.0, "sample_rate": 4.0, "sky_nside": 8},
}


def test_maps_as_arrays(in_shared_folder):
    samples, sky = dm.mapmaker.simulate(CONFIG, "tod.h5")
    assert samples == 4 * 2 * 3600 * 4
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
    assert temporary.report is None and "destriped" not in temporary.maps


def test_bad_configurations(in_shared_folder):
    for config, text in [
        ({"map": {"nside": 7}}, "7"),
        ({"map": {"nsidee": 8}}, "nside"),
        ({"map": {"nside": 8}, "input": {"tod": "none.h5"}}, "none.h5"),
    ]:
        with pytest.raises(dm.Error, match=text):
            dm.mapmaker.run({"input": {}, **config}, folder="x")
    with pytest.raises(FileNotFoundError):
        dm.mapmaker.run("missing.toml")


def test_a_run_is_resumed(in_shared_folder):
    dm.mapmaker.simulate(CONFIG, "tod.h5")
    whole = dm.mapmaker.run(CONFIG, tod="tod.h5", folder="whole")

    def stop(progress):
        return progress.iteration >= 3

    with pytest.raises(dm.Error, match="stopped"):
        dm.mapmaker.run(CONFIG, tod="tod.h5", folder="part", monitor=stop, checkpoint="ck")
    part = dm.mapmaker.run(CONFIG, tod="tod.h5", folder="part", checkpoint="ck", resume=True)
    assert part.report.iterations == whole.report.iterations
    for name in whole.maps["destriped"]:
        np.testing.assert_array_equal(part.maps["destriped"][name], whole.maps["destriped"][name])
