//! Ranks that see the same ids: binning samples into a map, in miniature.
//!
//! Runs on any number of ranks; meant for three:
//!
//!     cargo build --examples
//!     scripts/mpirun.sh -n 3 target/debug/examples/04_overlapping_maps
//!
//! Each rank has samples of a few pixels of the sky, and a pixel may be seen by many ranks. The
//! pixels that a rank sees are its `IndexMap`; these maps overlap. Exporting adds what the ranks
//! found to the pixel's one owner; importing gives every rank the finished pixels that it sees.

use std::process::ExitCode;

use dolmen::prelude::*;

const PIXELS: u64 = 48;
const SAMPLES: u64 = 1000;

fn main() -> ExitCode {
    Comm::run(bin_samples)
}

/// The sky that is to be found again.
fn sky(pixel: u64) -> u64 {
    1000 + 7 * pixel
}

/// Returns the pixel of a rank's sample `i`: a sweep that starts elsewhere on each rank.
fn pointing(rank: usize, i: u64) -> u64 {
    (rank as u64 * 7 + i * i / 50) % (PIXELS - 3)
}

fn bin_samples(comm: &Comm) -> Result<()> {
    let layout = Layout::uniform(comm, PIXELS);
    let pixels: Vec<u64> = (0..SAMPLES).map(|i| pointing(comm.rank(), i)).collect();
    let seen = comm.agree(IndexMap::new(pixels.clone()))?;
    let plan = ExchangePlan::new(&layout, &seen)?;

    // Sum and hits of each seen pixel, side by side. Integers: their sums do not depend on the ranks.
    let mut sums = vec![0_u64; 2 * seen.len()];
    for (i, &pixel) in (0..).zip(&pixels) {
        let slot = 2 * seen.global_to_local(pixel).expect("a pixel of this rank") as usize;
        sums[slot] += sky(pixel) + i % 3;
        sums[slot + 1] += 1;
    }
    let mut owned = vec![0_u64; 2 * layout.local_len()];
    plan.start_export(&sums, 2).finish(Combine::Add, &mut owned);

    let means =
        owned.chunks_exact(2).map(|pixel| if pixel[1] > 0 { pixel[0] as f64 / pixel[1] as f64 } else { f64::NAN });
    let map = Vector::from_owned(&layout, means.collect())?;

    // The samples lie 0, 1 or 2 above the sky.
    let copies = plan.start_import(map.owned(), 1).finish();
    let mut worst = [0.0_f64];
    for (pixel, value) in seen.gids().iter().zip(copies.iter()) {
        worst[0] = worst[0].max((value - sky(*pixel) as f64).abs());
    }
    comm.all_reduce_max(&mut worst);
    let mut counts = [owned.iter().skip(1).step_by(2).filter(|&&hits| hits > 0).count() as u64, seen.len() as u64];
    comm.all_reduce_sum(&mut counts);

    if comm.rank() == 0 {
        println!("{} of {PIXELS} pixels were seen, by {} ranks in all", counts[0], counts[1]);
        println!("the map is within {:.3} of the sky", worst[0]);
    }
    let close = if worst[0] <= 2.0 { Ok(()) } else { Err(format!("the map is {} off", worst[0])) };
    comm.agree(close)?;
    Ok(())
}
