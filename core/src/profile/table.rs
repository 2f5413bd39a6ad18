//! The summary as a table, in the spirit of PETSc's `-log_view`.

use std::fmt::{Display, Formatter, Result};

use super::summary::{EventSummary, Summary};

/// Spaces for each level of nesting.
const INDENT: usize = 2;

const NOTES: &str = "\
count, max s: largest value of a rank; ratio: largest over smallest value. incl %, self %: share of the
time of all ranks, with and without inner events. Gflop/s, GB/s: work of all ranks, inner events
included, divided by max s. messages: messages between two ranks.";

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let width = |event: &EventSummary| INDENT * event.depth + event.name.chars().count();
        let first = self.events().iter().map(width).max().unwrap_or(0).max("event".len());
        let s = if self.ranks() == 1 { "" } else { "s" };
        writeln!(f, "profile of {} rank{s}, {:.3e} s", self.ranks(), self.total().time.max)?;
        writeln!(
            f,
            "{:first$} {:>9} {:>6} {:>10} {:>6} {:>6} {:>6} {:>9} {:>9} {:>9} {:>9}",
            "event", "count", "ratio", "max s", "ratio", "incl %", "self %", "Gflop/s", "GB/s", "messages", "avg bytes"
        )?;
        for event in self.events() {
            self.write_row(f, first, event)?;
        }
        self.write_imbalance(f)?;
        if self.dropped() > 0 {
            writeln!(f, "trace: {} events were left out, because the buffer was full", self.dropped())?;
        }
        f.write_str(NOTES)
    }
}

impl Summary {
    fn write_row(&self, f: &mut Formatter<'_>, first: usize, event: &EventSummary) -> Result {
        let EventSummary { name, depth, count, min_count, time, own_time, .. } = event;
        let percent = |mean: f64| 100.0 * mean / self.total().time.mean.max(f64::MIN_POSITIVE);
        let indented = format!("{:indent$}{name}", "", indent = INDENT * depth);
        let rate = |work: u64| or_dash(work > 0, format!("{:.3}", work as f64 / time.max / 1e9));
        writeln!(
            f,
            "{indented:first$} {count:>9} {:>6} {:>10.3e} {:>6} {:>6.1} {:>6.1} {:>9} {:>9} {:>9} {:>9}",
            ratio(*count as f64, *min_count as f64),
            time.max,
            ratio(time.max, time.min),
            percent(time.mean),
            percent(own_time.mean),
            rate(event.flops),
            rate(event.bytes),
            or_dash(event.messages > 0, event.messages.to_string()),
            or_dash(event.messages > 0, format!("{:.0}", event.message_bytes as f64 / event.messages as f64)),
        )
    }

    /// Names the event in which most time would be saved if its own work were spread evenly.
    fn write_imbalance(&self, f: &mut Formatter<'_>) -> Result {
        let excess = |event: &&EventSummary| event.own_time.max - event.own_time.mean;
        let worst = self.events()[1..].iter().max_by(|a, b| excess(a).total_cmp(&excess(b)));
        let Some(worst) = worst.filter(|_| self.ranks() > 1) else {
            return Ok(());
        };
        let own = &worst.own_time;
        let share = 100.0 * excess(&worst) / self.total().time.max.max(f64::MIN_POSITIVE);
        writeln!(
            f,
            "imbalance: largest in {}, where rank {} spends {:.3e} s and the mean rank {:.3e} s: {share:.1} % of the total",
            worst.name, own.max_rank, own.max, own.mean
        )
    }
}

fn or_dash(known: bool, text: String) -> String {
    if known { text } else { "-".to_owned() }
}

/// Returns one number over another; a dash for nothing over nothing.
fn ratio(max: f64, min: f64) -> String {
    or_dash(max > 0.0, format!("{:.1}", max / min))
}
