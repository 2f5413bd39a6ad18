//! Iterations of a solver on their way to the target.

use dolmen_solvers::Progress;

use super::{Display, Meter};

/// Shows the iterations of a solve: the residual, the target, and the time left if the logarithm of the residual falls
/// as it has fallen so far.
pub struct Iterations {
    meter: Meter,
    /// The relative tolerance that is the whole target; none if the target is absolute, or both.
    relative: Option<f64>,
    /// The first residual of the attempt, and the least one.
    first: f64,
    least: f64,
}

impl Iterations {
    /// Begins with nothing shown. Residuals are told relative to the size of which `rtol` is the tolerance.
    pub fn new(display: Display, rtol: f64, atol: f64) -> Iterations {
        Iterations::with_meter(display.meter(), rtol, atol)
    }

    fn with_meter(meter: Meter, rtol: f64, atol: f64) -> Iterations {
        let relative = (atol == 0.0 && rtol > 0.0).then_some(rtol);
        Iterations { meter, relative, first: f64::NAN, least: f64::INFINITY }
    }

    /// Takes the state after an iteration, and shows it if that is due.
    pub fn show(&mut self, progress: &Progress) {
        if !self.meter.is_silent() {
            self.step(progress.iteration, progress.residual, progress.target);
        }
    }

    fn step(&mut self, iteration: usize, residual: f64, target: f64) {
        if iteration == 0 || self.first.is_nan() {
            (self.first, self.least) = (residual, residual);
            self.meter.restart();
        }
        self.least = self.least.min(residual);
        if self.meter.is_due() {
            let text = format!("iteration {iteration}, {}", self.residual(residual, target));
            self.meter.show(way(self.first, self.least, target), &text);
        }
    }

    fn residual(&self, residual: f64, target: f64) -> String {
        match self.relative {
            Some(rtol) if target > 0.0 => {
                format!("relative residual {:.1e}, target {rtol:e}", residual / target * rtol)
            }
            _ => format!("residual {residual:.1e}, target {target:.1e}"),
        }
    }
}

/// The share of the way from the first residual to the target, on a logarithmic scale.
fn way(first: f64, least: f64, target: f64) -> Option<f64> {
    let share = (first / least).ln() / (first / target).ln();
    (target > 0.0 && share.is_finite()).then(|| share.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("one thread").clone()).expect("text")
        }
    }

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("one thread").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_has_a_line_for_each_interval() {
        let log = Log::default();
        let mut iterations = Iterations::with_meter(Meter::lines(Duration::ZERO, log.clone()), 1e-8, 0.0);
        iterations.step(0, 50.0, 50e-8);
        iterations.step(1200, 50.0 * 3.2e-5, 50e-8);
        let text = log.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "iteration 0, relative residual 1.0e0, target 1e-8");
        assert!(lines[1].starts_with("iteration 1200, relative residual 3.2e-5, target 1e-8, 0s left"), "{text}");
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn nothing_is_told_before_the_interval_is_over() {
        let log = Log::default();
        let mut iterations = Iterations::with_meter(Meter::lines(Duration::from_secs(3600), log.clone()), 1e-8, 0.0);
        (0..100).for_each(|iteration| iterations.step(iteration, 1.0, 1e-8));
        assert_eq!(log.text(), "");
    }

    #[test]
    fn absolute_targets_are_told_as_they_are() {
        let log = Log::default();
        let mut iterations = Iterations::with_meter(Meter::lines(Duration::ZERO, log.clone()), 1e-8, 1e-3);
        iterations.step(0, 50.0, 1e-3);
        assert_eq!(log.text(), "iteration 0, residual 5.0e1, target 1.0e-3\n");
    }

    #[test]
    fn the_way_is_logarithmic() {
        assert_eq!(way(1.0, 1e-4, 1e-8), Some(0.5));
        assert_eq!(way(1.0, 1e-9, 1e-8), Some(1.0));
        assert_eq!(way(1.0, 1.0, 1e-8), Some(0.0));
        assert_eq!(way(1.0, 1e-4, 0.0), None);
        assert_eq!(way(0.0, 0.0, 1e-8), None);
    }
}
