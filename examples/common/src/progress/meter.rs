//! The common part of a bar and of a line a minute: both are due from time to time.

use std::io::{self, Write};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between two lines.
pub(super) const MINUTE: Duration = Duration::from_secs(60);
/// Work that is done sooner has no bar.
const DELAY: Duration = Duration::from_millis(500);
/// Time between two states of a bar.
const FRAME: Duration = Duration::from_millis(100);
/// Steps of a whole bar.
const STEPS: u64 = 1000;
/// The share of the work before which nothing can be said of the rest.
const TOO_LITTLE: f64 = 0.01;

/// The bars of this process, so that other lines do not run into them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));

/// A writer to the standard error that moves a bar out of the way.
pub fn write_beside_bars() -> impl Write {
    BesideBars
}

struct BesideBars;

impl Write for BesideBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

enum Kind {
    Silent,
    Lines(Box<dyn Write + Send>),
    /// The bar, once it is shown.
    Bar(Option<ProgressBar>),
}

/// Shows from time to time how far some work is.
pub(super) struct Meter {
    kind: Kind,
    start: Instant,
    due: Instant,
    every: Duration,
}

impl Meter {
    pub(super) fn silent() -> Meter {
        Meter::new(Kind::Silent, MINUTE, MINUTE)
    }

    /// Writes a line after each interval.
    pub(super) fn lines(every: Duration, out: impl Write + Send + 'static) -> Meter {
        Meter::new(Kind::Lines(Box::new(out)), every, every)
    }

    pub(super) fn bar() -> Meter {
        Meter::new(Kind::Bar(None), DELAY, FRAME)
    }

    fn new(kind: Kind, first: Duration, every: Duration) -> Meter {
        let start = Instant::now();
        Meter { kind, start, due: start + first, every }
    }

    pub(super) fn is_silent(&self) -> bool {
        matches!(self.kind, Kind::Silent)
    }

    /// Returns whether it is time to show something.
    pub(super) fn is_due(&self) -> bool {
        !self.is_silent() && Instant::now() >= self.due
    }

    /// Measures the time that is left from now on.
    pub(super) fn restart(&mut self) {
        self.start = Instant::now();
    }

    /// Shows which share of the work is done, if that is known, and a text without the time left.
    pub(super) fn show(&mut self, share: Option<f64>, text: &str) {
        self.due = Instant::now() + self.every;
        let left = share.and_then(|share| time_left(self.start.elapsed(), share));
        let left = left.map(|left| format!(", {:#} left", HumanDuration(left))).unwrap_or_default();
        match &mut self.kind {
            Kind::Silent => {}
            // A log that cannot be written is no reason to fail.
            Kind::Lines(out) => drop(writeln!(out, "{text}{left}")),
            Kind::Bar(bar) => {
                let (style, message, place) = (style(share.is_some()), text.to_owned() + &left, share.map_or(0, steps));
                match bar {
                    Some(bar) => {
                        bar.set_style(style);
                        bar.set_message(message);
                        bar.set_position(place);
                    }
                    None => {
                        let made = ProgressBar::new(STEPS).with_style(style).with_message(message).with_position(place);
                        bar.insert(BARS.add(made)).tick();
                    }
                }
            }
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Kind::Bar(Some(bar)) = &self.kind {
            bar.finish_and_clear();
            BARS.remove(bar);
        }
    }
}

fn style(is_known: bool) -> ProgressStyle {
    let template = if is_known { "[{bar:12}] {wide_msg}" } else { "{spinner} {wide_msg}" };
    ProgressStyle::with_template(template).expect("invariant: a valid template").progress_chars("=> ")
}

/// The steps of a bar for a share between 0 and 1.
fn steps(share: f64) -> u64 {
    (0..STEPS).take_while(|step| (*step as f64) < share * STEPS as f64).count() as u64
}

/// The time that the rest takes at the pace so far.
fn time_left(elapsed: Duration, share: f64) -> Option<Duration> {
    let enough = share > TOO_LITTLE;
    enough
        .then(|| elapsed.as_secs_f64() * (1.0 - share) / share)
        .and_then(|left| Duration::try_from_secs_f64(left).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_its_share() {
        assert_eq!(time_left(Duration::from_secs(30), 0.75), Some(Duration::from_secs(10)));
        assert_eq!(time_left(Duration::from_secs(30), 1.0), Some(Duration::ZERO));
        assert_eq!(time_left(Duration::from_secs(30), 0.0), None);
    }

    #[test]
    fn bars_have_as_many_steps_as_their_share() {
        assert_eq!([0.0, 0.25, 1.0, 7.0].map(steps), [0, 250, STEPS, STEPS]);
    }
}
