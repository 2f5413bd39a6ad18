//! Who owns what, and how a rank sees its neighbors' values: second differences by hand.
//!
//! Runs on any number of ranks; meant for three:
//!
//!     cargo build --examples
//!     scripts/mpirun.sh -n 3 target/debug/examples/01_layouts_and_ghosts
//!
//! A `Layout` gives each rank a block of consecutive rows. A `Vector` has a rank's own entries and
//! nothing else. Entries of other ranks that a rank wants to read are the ids of an `IndexMap`, and
//! an `ExchangePlan`, made once, fetches them as often as wanted. The work that needs no ghosts is
//! done while they travel.

use std::process::ExitCode;

use dolmen::prelude::*;

const ROWS: u64 = 20;

fn main() -> ExitCode {
    Comm::run(second_differences)
}

fn second_differences(comm: &Comm) -> Result<()> {
    let layout = Layout::uniform(comm, ROWS);
    let owned = layout.range();
    let x = Vector::<f64>::from_fn(&layout, |row| (row * row) as f64);

    // The row before this rank's block and the row after it, where there are such rows.
    let before = owned.start.checked_sub(1);
    let after = Some(owned.end).filter(|&row| row < ROWS);
    let wanted = if owned.is_empty() { Vec::new() } else { before.into_iter().chain(after).collect() };
    // What can fail on one rank is agreed before the ranks do something together.
    let ghosts = comm.agree(IndexMap::new(wanted))?;
    let differences = differences(&x, &ghosts)?;

    // The second difference of the squares is 2 everywhere; the two ends were left at zero.
    let wrong = differences.owned().iter().zip(owned.clone()).filter(|&(&difference, row)| {
        let expected = if row == 0 || row == ROWS - 1 { 0.0 } else { 2.0 };
        difference != expected
    });
    let result = match wrong.count() {
        0 => Ok(()),
        count => Err(format!("{count} differences are wrong")),
    };
    comm.agree(result)?;

    let line = format!("rank {} owns rows {owned:?} and reads ghosts {:?}", comm.rank(), ghosts.gids());
    if let Some(lines) = comm.gather(0, line.as_bytes()) {
        lines.iter().for_each(|line| println!("{}", String::from_utf8_lossy(line)));
        println!("all second differences of i^2 are 2");
    }
    Ok(())
}

/// Second differences of the rows that have two neighbors; zero in the others.
fn differences(x: &Vector<f64>, ghosts: &IndexMap) -> Result<Vector<f64>, Error> {
    let (layout, owned) = (x.layout(), x.range());
    let plan = ExchangePlan::new(layout, ghosts)?;
    let halo = plan.start_import(x.owned(), 1);
    let mut differences = Vector::zeros(layout);
    for (row, three) in (1..).zip(x.owned().windows(3)) {
        differences.owned_mut()[row] = three[0] - 2.0 * three[1] + three[2];
    }
    let halo = halo.finish();
    let value = |row: u64| x.get(row).or_else(|| Some(halo[ghosts.global_to_local(row)? as usize]));
    for row in [owned.start, owned.end.saturating_sub(1)] {
        if owned.contains(&row) && row > 0 && row < ROWS - 1 {
            let [left, middle, right] = [row - 1, row, row + 1].map(|row| value(row).expect("imported above"));
            differences.owned_mut()[layout.global_to_owned(row).expect("a row of this rank")] =
                left - 2.0 * middle + right;
        }
    }
    Ok(differences)
}
