//! The one loop around all methods: when to stop, and whether to believe it.
//!
//! A solve stops when `|r| <= max(rtol |b|, atol)` in the requested norm. The recurrences of
//! a method drift away from the true residual in rounding, so their word is only taken after
//! `b - A x` has been computed: if that is too large, the method starts again from it. Each such
//! start should gain at least half; two in a row that do not end as [`StopReason::Stagnated`].
//!
//! A least-squares problem is also solved when `|A^H r| <= rtol |A| |r|` (test 2 of Paige and
//! Saunders, ACM TOMS 8 (1982) 43), computed afresh as well, where `|A|` is the largest `|A v| / |v|`
//! met on the way, a lower bound.
//!
//! With a projection `P`, `r` and `b` in all of this are `P r` and `P b`: the parts that any `x` can
//! influence.
//!
//! All numbers here are those of the system times the powers of two that [`powers`](crate::krylov::powers) tells of;
//! history, report, monitor and the `x` of snapshots have the units of the user's system.

use dolmen_core::scaling::scaled;
use dolmen_core::{Real, Scalar, Snapshot, Vector, profile};

use crate::error::Result;
use crate::krylov::method::{Estimate, Iteration, Step};
use crate::krylov::powers::scale_solution;
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::stopping::{RESERVED, ResidualTests, StoppingTest};
use crate::krylov::symmetry::{Needs, is_due, is_suspect, violation};
use crate::norm::Norm;
use crate::report::SolveReport;
use crate::settings::Settings;
use crate::stop_reason::StopReason;

/// Solves by a method.
pub(crate) fn drive<'s, T: Scalar, I: Iteration<T>>(
    problem: Problem<'s, T>,
    settings: &'s Settings<'_, T>,
    iteration: I,
    x: &mut Vector<T>,
) -> Result<SolveReport> {
    let start = problem.start;
    let _event = profile::event(problem.method);
    let mut drive = Drive::new(problem, settings, iteration)?;
    let outcome = drive.run(x);
    let solution = drive.give_back(x);
    outcome.and(solution)?;
    drive.report.time = start.elapsed();
    Ok(drive.into_report())
}

/// A solve under way.
struct Drive<'s, 'a, T: Scalar, I> {
    problem: Problem<'s, T>,
    settings: &'s Settings<'a, T>,
    stopping: StoppingTest<'s, 'a, T>,
    iteration: I,
    r: Vector<T>,
    /// `M r` for the norms that need it, `M^H A^H r` in least squares.
    z: Option<Vector<T>>,
    /// Estimate of the residual.
    estimate: Estimate,
    /// The last residual that was computed.
    last: Estimate,
    /// The residual above which the solve has diverged.
    limit: f64,
    report: SolveReport,
    /// True if `x` has the units of the solve.
    has_taken_x: bool,
}

impl<'s, 'a, T: Scalar, I: Iteration<T>> Drive<'s, 'a, T, I> {
    fn new(mut problem: Problem<'s, T>, settings: &'s Settings<'a, T>, iteration: I) -> Result<Self> {
        let needs_z = problem.is_least_squares() || problem.norm != Norm::True;
        let mut z = needs_z.then(|| problem.zeros());
        let (r, rhs_norm) = problem.rhs(settings.resume.is_some())?;
        let size = measure(&problem, &r, rhs_norm, z.as_mut())?;
        let atol = scaled(settings.atol, -problem.residual_power());
        let report = SolveReport {
            method: problem.method,
            reason: StopReason::IterationLimit,
            iterations: 0,
            history: Vec::with_capacity(settings.max_iterations.min(RESERVED) + 1),
            norm: problem.norm,
            rhs_norm,
            target: (settings.rtol * size).max(atol),
            true_residual: f64::INFINITY,
            normal_residual: None,
            damp: 0.0,
            weighted: false,
            applications: 0,
            preconditionings: 0,
            time: std::time::Duration::ZERO,
        };
        problem.target.set(report.target);
        let unknown = Estimate::from(f64::INFINITY);
        let (stopping, limit) = (StoppingTest::new(settings), settings.dtol * size);
        let (estimate, last, has_taken_x) = (unknown, unknown, false);
        Ok(Drive { problem, settings, stopping, iteration, r, z, estimate, last, limit, report, has_taken_x })
    }

    fn run(&mut self, x: &mut Vector<T>) -> Result<()> {
        match self.settings.resume {
            Some(snapshot) => self.load(snapshot, x)?,
            None => self.begin(x)?,
        }
        let reason = loop {
            if let Some(reason) = self.stopping.verdict(&self.tests(), &self.problem.votes) {
                break reason;
            }
            if let Some(reason) = self.step(x)? {
                break reason;
            }
        };
        if reason == StopReason::IterationLimit {
            self.stopping.hear_last(&self.problem.votes, self.problem.b.comm())?;
            self.hand_out(x)?;
        }
        self.conclude(reason, x)
    }

    /// Brings `x` to the user's units.
    fn give_back(&self, x: &mut Vector<T>) -> Result<()> {
        let power = if self.has_taken_x { self.problem.solution_power() } else { 0 };
        scale_solution(self.problem.method, x, power)
    }

    /// The first residual and start.
    fn begin(&mut self, x: &mut Vector<T>) -> Result<()> {
        if self.report.rhs_norm == 0.0 {
            x.fill(T::ZERO);
        }
        self.problem.take_guess(x, &mut self.r)?;
        self.has_taken_x = true;
        self.measure_residual()?;
        self.start_method()?;
        // A guess better than zero may lose some of its lead on the way.
        self.limit = self.limit.max(self.settings.dtol * self.estimate.residual);
        self.record(x)
    }

    /// Computes `r = b - A x`, and its norms.
    fn compute_residual(&mut self, x: &Vector<T>) -> Result<()> {
        self.problem.residual(x, &mut self.r)?;
        self.measure_residual()
    }

    /// The norms of a residual that has just been computed.
    fn measure_residual(&mut self) -> Result<()> {
        self.report.true_residual = self.r.norm2();
        self.estimate = measure(&self.problem, &self.r, self.report.true_residual, self.z.as_mut())?.into();
        if let (true, Some(s)) = (self.problem.is_least_squares(), &mut self.z) {
            self.problem.apply_adjoint(&self.r, s)?;
            self.estimate.normal = s.norm2();
            self.problem.note_operator_norm(self.estimate.normal / self.report.true_residual);
            self.report.normal_residual = Some(self.estimate.normal);
        }
        self.last = self.estimate;
        self.stopping.is_true = true;
        Ok(())
    }

    /// Computes the residual, and starts the method from it if it is still too large.
    fn start(&mut self, x: &Vector<T>) -> Result<()> {
        self.compute_residual(x)?;
        self.start_method()
    }

    fn start_method(&mut self) -> Result<()> {
        if !self.is_met() && self.estimate.residual.is_finite() {
            self.iteration.start(&self.problem, &self.r)?;
        }
        Ok(())
    }

    /// Returns true if the estimate meets a tolerance.
    fn is_met(&self) -> bool {
        let Estimate { residual, normal } = self.estimate;
        residual <= self.report.target || normal <= self.settings.rtol * self.problem.operator_norm.get() * residual
    }

    /// Returns the state of the estimate.
    fn tests(&self) -> ResidualTests {
        let residual = self.estimate.residual;
        ResidualTests {
            finite: residual.is_finite(),
            hidden: residual == 0.0 && self.report.true_residual > 0.0,
            met: self.is_met(),
            diverged: residual > self.limit,
        }
    }

    /// Returns one iteration, or a new start in its place.
    fn step(&mut self, x: &mut Vector<T>) -> Result<Option<StopReason>> {
        self.problem.votes.forget();
        if I::NEEDS != Needs::Nothing
            && is_due(&self.report.history)
            && let Some(reason) = violation(&self.problem, I::NEEDS)?
        {
            return Ok(Some(reason));
        }
        let step = self.iteration.step(&self.problem, x, &mut self.r)?;
        let (Step::Next(estimate) | Step::Cycle(estimate) | Step::Doubt(estimate)) = step else {
            if let Step::Stop(reason) = step {
                return Ok(Some(reason));
            }
            self.stopping.broke = true;
            self.start_again(x, 0.5)?;
            self.hand_out(x)?;
            return Ok(None);
        };
        self.stopping.iterations += 1;
        self.estimate = estimate;
        self.stopping.is_true = false;
        if self.is_met() {
            self.stopping.broke = false;
            self.start_again(x, 0.5)?;
        } else if matches!(step, Step::Cycle(_)) && estimate.residual.is_finite() {
            self.stopping.broke = false;
            self.start_again(x, 1.0 - 100.0 * T::Real::EPSILON.to_f64())?;
        } else if matches!(step, Step::Doubt(_)) {
            self.iteration.finish(&self.problem, x)?;
            self.start(x)?;
        }
        self.record(x)?;
        Ok(None)
    }

    /// Replaces the estimate by the truth and continues from it; `expected` is what a useful start
    /// leaves of the residual of the last one, or in least squares of `|A^H r|`: the residual itself
    /// may be at its minimum long before.
    fn start_again(&mut self, x: &mut Vector<T>, expected: f64) -> Result<()> {
        let before = self.last;
        self.iteration.finish(&self.problem, x)?;
        self.start(x)?;
        let Estimate { residual, normal } = self.estimate;
        let gained = residual <= expected * before.residual || normal < expected * before.normal;
        self.stopping.started_again(gained);
        Ok(())
    }

    /// Notes the residual, tells the monitor, and hands out a snapshot if it is time.
    fn record(&mut self, x: &mut Vector<T>) -> Result<()> {
        let [residual, target] =
            [self.estimate.residual, self.report.target].map(|norm| scaled(norm, self.problem.residual_power()));
        self.report.history.push(residual);
        self.stopping.tell(residual, target, &self.problem.votes);
        self.stopping.meet(&self.problem.votes, self.problem.b.comm())?;
        self.hand_out(x)
    }

    /// Gives the monitor a snapshot if it is time.
    fn hand_out(&mut self, x: &mut Vector<T>) -> Result<()> {
        if !self.stopping.is_due(&self.problem.votes) {
            return Ok(());
        }
        let mut snapshot = Snapshot::new(self.problem.method);
        self.problem.save_powers(&mut snapshot);
        self.archive(&mut Archive::Save(&mut snapshot), x);
        self.stopping.deliver(snapshot, self.problem.b.comm())
    }

    /// Takes the state from a snapshot.
    fn load(&mut self, snapshot: &Snapshot<T>, x: &mut Vector<T>) -> Result<()> {
        let mut archive = Archive::load(snapshot, self.problem.method);
        self.archive(&mut archive, x);
        archive.agree(self.problem.b.comm())?;
        self.has_taken_x = true;
        if self.stopping.is_true {
            // A solve may end on this residual, and the right-hand side may not be the snapshot's: the
            // start is made once more, and not counted since it was before.
            let counts = [self.problem.applications.get(), self.problem.preconditionings.get()];
            self.start(x)?;
            self.problem.applications.set(counts[0]);
            self.problem.preconditionings.set(counts[1]);
        }
        Ok(())
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>, x: &mut Vector<T>) {
        archive.solution("x", x, self.problem.solution_power());
        archive.vector("r", &mut self.r);
        self.stopping.archive(archive);
        archive.series("history", &mut self.report.history);
        for (name, count) in
            [("applications", &self.problem.applications), ("preconditionings", &self.problem.preconditionings)]
        {
            let mut value = count.get();
            archive.integer(name, &mut value);
            count.set(value);
        }
        let mut operator_norm = self.problem.operator_norm.get();
        archive.real("operator norm", &mut operator_norm);
        self.problem.operator_norm.set(operator_norm);
        archive.real("residual", &mut self.estimate.residual);
        archive.real("normal residual", &mut self.estimate.normal);
        archive.real("last true residual", &mut self.last.residual);
        archive.real("last true normal residual", &mut self.last.normal);
        archive.real("limit", &mut self.limit);
        self.iteration.archive(archive);
    }

    /// Completes the report of a solve that ends for `reason`. Whatever ended it, a true residual that meets
    /// the tolerance is convergence.
    fn conclude(&mut self, reason: StopReason, x: &mut Vector<T>) -> Result<()> {
        if !self.stopping.is_true {
            if reason != StopReason::NotFinite {
                self.iteration.finish(&self.problem, x)?;
            }
            self.compute_residual(x)?;
        }
        let mut reason = reason;
        if let Some(end) = self.iteration.retreat(x, self.estimate.residual)? {
            reason = end;
            self.compute_residual(x)?;
            if let Some(last) = self.report.history.last_mut() {
                *last = scaled(self.estimate.residual, self.problem.residual_power());
            }
        }
        let ResidualTests { finite, hidden, met, .. } = self.tests();
        self.report.reason = if finite && met && !hidden { StopReason::Converged } else { self.cause(reason)? };
        self.stopping.end(self.problem.b.comm())?;
        self.report.iterations = self.stopping.iterations;
        self.report.applications = self.problem.applications.get();
        self.report.preconditionings = self.problem.preconditionings.get();
        Ok(())
    }

    /// Returns the report in the user's units, in which its history is.
    fn into_report(self) -> SolveReport {
        let Drive { problem, report, .. } = self;
        SolveReport {
            rhs_norm: scaled(report.rhs_norm, problem.rhs_power()),
            target: scaled(report.target, problem.residual_power()),
            true_residual: scaled(report.true_residual, problem.rhs_power()),
            normal_residual: report.normal_residual.map(|normal| scaled(normal, problem.normal_power())),
            ..report
        }
    }

    /// Finds the cause of a failure for `reason`.
    fn cause(&self, reason: StopReason) -> Result<StopReason> {
        let suspect = I::NEEDS != Needs::Nothing && is_suspect(reason, &self.report.history);
        let violation = if suspect { violation(&self.problem, I::NEEDS)? } else { None };
        Ok(violation.unwrap_or(reason))
    }
}

/// Returns the size of a residual, whose Euclidean norm is known, in the requested norm.
fn measure<T: Scalar>(
    problem: &Problem<'_, T>,
    r: &Vector<T>,
    euclidean: f64,
    z: Option<&mut Vector<T>>,
) -> Result<f64> {
    let (false, Some(z)) = (problem.norm == Norm::True, z) else {
        return Ok(euclidean);
    };
    problem.precondition(r, z)?;
    if problem.norm == Norm::Preconditioned {
        return Ok(z.norm2());
    }
    let [energy] = problem.dots([(r, z)])?;
    Ok(energy.re().sqrt())
}
