//! Offsets that nothing determines, and numbers that sums do not hold.

use dolmen_core::Comm;
use dolmen_io::fits::{ColumnData, MapColumn, MapHeader, write_map};
use dolmen_tests::TestResult;
use mapmaker::healpix::Ordering;
use mapmaker::maps::Maps;

use crate::fixture::{Folder, Looks, Timeline, map, whole};
use crate::oracle::{LENGTH, compare_with, config, patch, random_timeline, samples};

const MASKED: std::ops::Range<u64> = 42..45;

/// Writes `mask.fits`, zero at the pixels that are given.
pub(crate) fn write_mask(comm: &Comm, folder: &Folder, zero: impl Fn(u64) -> bool) -> TestResult {
    let layout = dolmen_core::Layout::uniform(comm, 768);
    let values: Vec<f64> = layout.range().map(|pixel| f64::from(u8::from(!zero(pixel)))).collect();
    let (ordering, history) = (Ordering::Ring, Vec::new());
    let header = MapHeader { nside: 8, ordering, coordinates: None, polarization: None, history };
    let column = MapColumn { name: "MASK", unit: "", data: ColumnData::F64(&values) };
    Ok(write_map(&layout, folder.path.join("mask.fits"), &header, &[column])?)
}

/// One of the masked pixels.
fn masked_pixel(u: f64) -> i64 {
    (42..44).find(|&pixel| u * 3.0 < (pixel - 41) as f64).unwrap_or(44)
}

/// Samples that are left out, on all ranks, and the baselines that are not determined.
fn left_out(comm: &Comm, maps: &Maps) -> (u64, Vec<u64>) {
    let mut count = [maps.left_out];
    comm.all_reduce_sum(&mut count);
    let offsets = maps.offsets.as_ref().expect("destriping is on");
    let determined: Vec<u8> = offsets.determined.iter().map(|&determined| u8::from(determined)).collect();
    let lost = (0..).zip(whole(comm, &determined)).filter(|(_, determined)| *determined == 0);
    (count[0], lost.map(|(number, _)| number).collect())
}

/// All detectors look at masked pixels for the length of a baseline, with an offset of a thousand kelvins.
pub(crate) fn baselines(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    write_mask(comm, &folder, |pixel| MASKED.contains(&pixel))?;
    let inside = 3 * LENGTH..4 * LENGTH;
    let look = |time: usize, u: f64| if inside.contains(&time) { masked_pixel(u) } else { patch(time, u) };
    let mut timeline = random_timeline(2, 2, 8 * LENGTH, look);
    for (i, signal) in timeline.signal.iter_mut().enumerate() {
        *signal += if inside.contains(&(i % (8 * LENGTH))) { 1000.0 } else { 0.0 };
    }
    let maps = map(comm, &folder, &timeline, &config("IQU", ", mask = 'mask.fits'"))?;
    let lost = [6, 7];
    let all = samples(&timeline, 3);
    let total = all.len();
    let kept: Vec<_> = all.into_iter().filter(|sample| !lost.contains(&sample.baseline)).collect();
    assert_eq!(left_out(comm, &maps), ((total - kept.len()) as u64, vec![6, 7]));
    assert_eq!(whole(comm, &maps.hits).iter().sum::<i64>(), i64::try_from(kept.len())?);
    // The oracle gives the lost baselines an offset of zero.
    let ones: Vec<Vec<f64>> =
        (0..16).map(|i| (0..16).map(|j| f64::from(u8::from(i == j && lost.contains(&i)))).collect()).collect();
    let linked: Vec<usize> = (0..16).filter(|baseline| !lost.contains(baseline)).collect();
    let unmasked = |sample: &crate::oracle::Sample| !MASKED.contains(&(sample.pixel as u64));
    compare_with(comm, &maps, &kept, &[linked], Some(&ones), unmasked);
    let note = maps.notes.first().ok_or("no note")?;
    assert!(note.starts_with(&format!("{} samples are left out of all maps", total - kept.len())), "{note}");

    write_mask(comm, &folder, |_| true)?;
    let error = map(comm, &folder, &timeline, &config("IQU", ", mask = 'mask.fits'")).err().ok_or("mapped")?;
    assert!(error.to_string().contains("mask.fits: is zero or unseen at all pixels that are solved"), "{error}");
    Ok(())
}

/// A prior links the baselines of a detector, and does not say their mean.
pub(crate) fn detectors(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    write_mask(comm, &folder, |pixel| MASKED.contains(&pixel))?;
    let count = 8 * LENGTH;
    let mut timeline = random_timeline(2, 3, count, patch);
    let Looks::Pixels { pixel, .. } = &mut timeline.looks else { unreachable!("pixels were drawn") };
    for (i, pixel) in pixel.iter_mut().enumerate().skip(2 * count) {
        *pixel = 42 + i64::try_from(i % 3)?;
    }
    timeline.drifts = vec![[0.02, 1.0, 1e-3]; 3];
    timeline.signal[2 * count..].iter_mut().for_each(|signal| *signal += 1000.0);
    let maps = map(comm, &folder, &timeline, &config("IQU", ", mask = 'mask.fits', prior = true"))?;
    let good = timeline.flags[2 * count..].iter().filter(|&&flag| flag == 0).count() as u64;
    assert_eq!(left_out(comm, &maps), (good, (0..8).map(|stretch| 3 * stretch + 2).collect()));
    let destriped = whole(comm, maps.destriped.as_ref().ok_or("destriping is on")?);
    assert!(destriped.iter().all(|&value| value < 100.0), "an offset is in the map");
    Ok(())
}

/// A tolerance that rounding does not allow, and polarization angles that do not change.
pub(crate) fn said(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let mut timeline = random_timeline(1, 4, 6 * LENGTH, patch);
    let tight = config("IQU", "").replace("tolerance = 1e-13", "tolerance = 1e-16");
    let maps = map(comm, &folder, &timeline, &tight)?;
    let offsets = maps.offsets.as_ref().ok_or("destriping is on")?;
    assert!(offsets.limited && maps.notes[0].contains("rounding allows no less"), "{:?}", maps.notes);
    let all: Vec<usize> = (0..24).collect();
    compare_with(comm, &maps, &samples(&timeline, 3), &[all], None, |_| true);
    let error = map(comm, &folder, &timeline, &tight.replace("1e-16", "1e-17")).err().ok_or("mapped")?.to_string();
    assert!(error.contains("destripe.tolerance is 1e-17") && error.contains("at least 1e-16"), "{error}");

    let count = 6 * LENGTH;
    timeline.psi = (0..4 * count).map(|i| 0.2 + 0.7 * (i / count) as f64).collect();
    for (stokes, drifts) in [("QU", vec![]), ("IQU", vec![]), ("IQU", vec![[0.02, 1.0, 1e-3]; 4])] {
        timeline.drifts = drifts;
        let text = config(stokes, "").replace("tolerance = 1e-13", "tolerance = 1e-6");
        let maps = map(comm, &folder, &timeline, &text)?;
        let told = maps.notes.iter().any(|note| note.starts_with("the means of the Q and U maps are arbitrary"));
        assert!(told, "{stokes}: {:?}", maps.notes);
    }
    // Angles that differ between intervals: a prior leaves the mean of each of them free.
    timeline.psi = (0..4 * count).map(|i| 0.2 + 0.4 * ((i % count) / (2 * LENGTH)) as f64).collect();
    let length = i64::try_from(2 * LENGTH)?;
    timeline.intervals = (0..3).map(|i| [i * length, (i + 1) * length]).collect();
    timeline.drifts = vec![[0.02, 1.0, 1e-3]; 4];
    let maps = map(comm, &folder, &timeline, &config("IQU", "").replace("1e-13", "1e-6"))?;
    assert!(maps.notes.iter().any(|note| note.starts_with("the means of the Q and U")), "{:?}", maps.notes);
    timeline.intervals = Vec::new();
    let maps = map(comm, &folder, &timeline, &config("IQU", "").replace("1e-13", "1e-6"))?;
    assert!(maps.notes.is_empty(), "{:?}", maps.notes);
    timeline.psi = (0..4 * count).map(|i| 0.2 + 0.7 * (i / count) as f64).collect();
    timeline.psi[7] += 0.3;
    timeline.psi[count + 50] += 0.5;
    timeline.drifts = vec![];
    let maps = map(comm, &folder, &timeline, &config("QU", "").replace("1e-13", "1e-6"))?;
    assert!(maps.notes.is_empty(), "{:?}", maps.notes);
    Ok(())
}

/// Weights and samples that differ by more than sums hold are named; those that they hold change nothing.
pub(crate) fn ranges(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let made = |change: &dyn Fn(&mut Timeline)| {
        let mut timeline = random_timeline(1, 3, 6 * LENGTH, patch);
        change(&mut timeline);
        map(comm, &folder, &timeline, &config("IQU", ""))
    };
    let refused = |made: TestResult<Maps>, words: &str| {
        let error = made.err().unwrap_or_else(|| panic!("{words}: mapped")).to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(made(&|t| t.net[1] = 1e-7), "detectors.net: samples of D1 weigh 3e14 times those of D2");
    let sample = 3 * LENGTH + 4;
    let place = "observations/scan: detector 0 (D0), samples 75 to 99: hold a signal that is ";
    refused(made(&|t| (t.signal[sample], t.flags[sample]) = (1e14, 0)), place);
    let huge = made(&|t| (t.signal[sample], t.flags[sample]) = (1e14, 1))?;
    let plain = made(&|t| (t.signal[sample], t.flags[sample]) = (0.0, 1))?;
    assert!(whole(comm, &huge.binned) == whole(comm, &plain.binned), "a flagged sample is in the map");
    // A detector that hardly counts has pixels of its own, whose values keep their digits.
    let look = |t: &mut Timeline, net: f64| {
        t.net[2] = net;
        let Looks::Pixels { pixel, .. } = &mut t.looks else { unreachable!("pixels were drawn") };
        pixel[2 * 6 * LENGTH..].iter_mut().for_each(|pixel| *pixel += 200);
    };
    let alone = |maps: &Maps| whole(comm, &maps.binned)[3 * 230..].to_vec();
    let (light, even) = (alone(&made(&|t| look(t, 4096.0))?), alone(&made(&|t| look(t, 1.0))?));
    for (light, even) in light.iter().zip(even) {
        assert!((light - even).abs() <= 1e-9 * even.abs(), "{light} instead of {even}");
    }
    Ok(())
}
