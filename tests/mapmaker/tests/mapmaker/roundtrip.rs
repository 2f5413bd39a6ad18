//! From a sky to timelines and back to the sky.

use dolmen_core::Comm;
use dolmen_io::fits::{MapFile, UNSEEN};
use dolmen_solvers::Progress;
use dolmen_tests::TestResult;
use mapmaker::config::Config;
use mapmaker::maps::make_maps;
use mapmaker::phases::Phases;
use mapmaker::simulate::simulate;

use crate::fixture::{Folder, whole};

/// Timelines are stored in single precision.
const TOLERANCE: f64 = 2e-6;

/// Without noise, binned and destriped maps are the sky itself, in either convention.
pub(crate) fn noiseless(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    for (convention, sign) in [("COSMO", 1.0), ("IAU", -1.0)] {
        let text = format!(
            "input.tod = 'tod.h5'
            map = {{ nside = 8, polarization = '{convention}' }}
            destripe = {{ baseline = 20.0, tolerance = 1e-10 }}
            simulate = {{ hours = 1.0, sample_rate = 5.0, spin_period = 30.0, sky_nside = 8, net = 1e-15, fknee = 0.0 }}"
        );
        let config = Config::parse(&text, &folder.path.join("case.toml"))?;
        let simulated = simulate(comm, &config.simulate, None, &config.input.tod[0])?;
        let maps = make_maps(comm, &config, &mut Phases::default(), &mut |_: &Progress| {}, None)?;
        let file = MapFile::open(&simulated.sky)?;
        let sky = [0, 1, 2].map(|column| file.read(column, 0..file.header().pixels()));
        let [i, q, u] = sky.map(|values| values.expect("a full-sky column"));
        let scale = i.iter().fold(0.0f64, |max, value| max.max(value.abs()));
        let binned = whole(comm, &maps.binned);
        let destriped = whole(comm, maps.destriped.as_ref().expect("destriping is on"));
        let mut solved = 0;
        let mut offset = None;
        for (pixel, (b, d)) in binned.as_chunks::<3>().0.iter().zip(destriped.as_chunks::<3>().0).enumerate() {
            if b[0] == UNSEEN {
                continue;
            }
            solved += 1;
            let truth = [i[pixel], q[pixel], sign * u[pixel]];
            // Destriping cannot know the mean of I.
            let mean = *offset.get_or_insert(d[0] - truth[0]);
            for (k, truth) in truth.into_iter().enumerate() {
                assert!((b[k] - truth).abs() < TOLERANCE * scale, "binned {pixel} {k}: {} not {truth}", b[k]);
                let shift = if k == 0 { mean } else { 0.0 };
                let off = d[k] - shift - truth;
                assert!(off.abs() < 2.0 * TOLERANCE * scale, "destriped {pixel} {k}: {} not {truth}", d[k]);
            }
        }
        assert!(solved > 300, "{solved} pixels solved");
        comm.barrier();
    }
    Ok(())
}
