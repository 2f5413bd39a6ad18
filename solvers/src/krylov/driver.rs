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
use crate::krylov::context::Context;
use crate::krylov::course::{Course, RESERVED, Signs};
use crate::krylov::iteration::{Archive, Estimate, Iteration, Step};
use crate::krylov::powers::scale_solution;
use crate::krylov::symmetry::{Needs, is_due, is_suspect, violation};
use crate::report::{SolveReport, StopReason};
use crate::settings::{Norm, Settings};

/// Solves by a method.
pub(crate) fn drive<'s, T: Scalar, I: Iteration<T>>(
    cx: Context<'s, T>,
    settings: &'s Settings<'_, T>,
    iteration: I,
    x: &mut Vector<T>,
) -> Result<SolveReport> {
    let start = cx.start;
    let _event = profile::event(cx.method);
    let mut drive = Drive::new(cx, settings, iteration)?;
    let outcome = drive.run(x);
    let solution = drive.give_back(x);
    outcome.and(solution)?;
    drive.report.time = start.elapsed();
    Ok(drive.into_report())
}

/// A solve under way.
struct Drive<'s, 'a, T: Scalar, I> {
    cx: Context<'s, T>,
    settings: &'s Settings<'a, T>,
    course: Course<'s, 'a, T>,
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
    fn new(mut cx: Context<'s, T>, settings: &'s Settings<'a, T>, iteration: I) -> Result<Self> {
        let needs_z = cx.is_least_squares() || cx.norm != Norm::True;
        let mut z = needs_z.then(|| cx.zeros());
        let (r, rhs_norm) = cx.rhs(settings.resume.is_some())?;
        let size = measure(&cx, &r, rhs_norm, z.as_mut())?;
        let atol = scaled(settings.atol, -cx.residual_power());
        let report = SolveReport {
            method: cx.method,
            reason: StopReason::IterationLimit,
            iterations: 0,
            history: Vec::with_capacity(settings.max_iterations.min(RESERVED) + 1),
            norm: cx.norm,
            rhs_norm,
            target: (settings.rtol * size).max(atol),
            true_residual: f64::INFINITY,
            normal_residual: None,
            applications: 0,
            preconditionings: 0,
            time: std::time::Duration::ZERO,
        };
        cx.target.set(report.target);
        let unknown = Estimate::from(f64::INFINITY);
        let (course, limit) = (Course::new(settings), settings.dtol * size);
        let (estimate, last, has_taken_x) = (unknown, unknown, false);
        Ok(Drive { cx, settings, course, iteration, r, z, estimate, last, limit, report, has_taken_x })
    }

    fn run(&mut self, x: &mut Vector<T>) -> Result<()> {
        match self.settings.resume {
            Some(snapshot) => self.load(snapshot, x)?,
            None => self.begin(x)?,
        }
        let reason = loop {
            if let Some(reason) = self.course.verdict(&self.signs(), &self.cx.wishes) {
                break reason;
            }
            if let Some(reason) = self.step(x)? {
                break reason;
            }
        };
        if reason == StopReason::IterationLimit {
            self.course.hear_last(&self.cx.wishes, self.cx.b.comm())?;
            self.hand_out(x)?;
        }
        self.conclude(reason, x)
    }

    /// Brings `x` to the user's units.
    fn give_back(&self, x: &mut Vector<T>) -> Result<()> {
        let power = if self.has_taken_x { self.cx.solution_power() } else { 0 };
        scale_solution(self.cx.method, x, power)
    }

    /// The first residual and start.
    fn begin(&mut self, x: &mut Vector<T>) -> Result<()> {
        if self.report.rhs_norm == 0.0 {
            x.fill(T::ZERO);
        }
        self.cx.take_guess(x, &mut self.r)?;
        self.has_taken_x = true;
        self.measure_residual()?;
        self.start_method()?;
        // A guess better than zero may lose some of its lead on the way.
        self.limit = self.limit.max(self.settings.dtol * self.estimate.residual);
        self.record(x)
    }

    /// Computes `r = b - A x`, and its norms.
    fn compute_residual(&mut self, x: &Vector<T>) -> Result<()> {
        self.cx.residual(x, &mut self.r)?;
        self.measure_residual()
    }

    /// The norms of a residual that has just been computed.
    fn measure_residual(&mut self) -> Result<()> {
        self.report.true_residual = self.r.norm2();
        self.estimate = measure(&self.cx, &self.r, self.report.true_residual, self.z.as_mut())?.into();
        if let (true, Some(s)) = (self.cx.is_least_squares(), &mut self.z) {
            self.cx.apply_adjoint(&self.r, s)?;
            self.estimate.normal = s.norm2();
            self.cx.note_operator_norm(self.estimate.normal / self.report.true_residual);
            self.report.normal_residual = Some(self.estimate.normal);
        }
        self.last = self.estimate;
        self.course.is_true = true;
        Ok(())
    }

    /// Computes the residual, and starts the method from it if it is still too large.
    fn start(&mut self, x: &Vector<T>) -> Result<()> {
        self.compute_residual(x)?;
        self.start_method()
    }

    fn start_method(&mut self) -> Result<()> {
        if !self.is_met() && self.estimate.residual.is_finite() {
            self.iteration.start(&self.cx, &self.r)?;
        }
        Ok(())
    }

    /// Returns true if the estimate meets a tolerance.
    fn is_met(&self) -> bool {
        let Estimate { residual, normal } = self.estimate;
        residual <= self.report.target || normal <= self.settings.rtol * self.cx.operator_norm.get() * residual
    }

    /// Returns the state of the estimate.
    fn signs(&self) -> Signs {
        let residual = self.estimate.residual;
        Signs {
            finite: residual.is_finite(),
            hidden: residual == 0.0 && self.report.true_residual > 0.0,
            met: self.is_met(),
            diverged: residual > self.limit,
        }
    }

    /// Returns one iteration, or a new start in its place.
    fn step(&mut self, x: &mut Vector<T>) -> Result<Option<StopReason>> {
        self.cx.wishes.forget();
        if I::NEEDS != Needs::Nothing
            && is_due(&self.report.history)
            && let Some(reason) = violation(&self.cx, I::NEEDS)?
        {
            return Ok(Some(reason));
        }
        let step = self.iteration.step(&self.cx, x, &mut self.r)?;
        let (Step::Next(estimate) | Step::Cycle(estimate) | Step::Doubt(estimate)) = step else {
            if let Step::Stop(reason) = step {
                return Ok(Some(reason));
            }
            self.course.broke = true;
            self.start_again(x, 0.5)?;
            self.hand_out(x)?;
            return Ok(None);
        };
        self.course.iterations += 1;
        self.estimate = estimate;
        self.course.is_true = false;
        if self.is_met() {
            self.course.broke = false;
            self.start_again(x, 0.5)?;
        } else if matches!(step, Step::Cycle(_)) && estimate.residual.is_finite() {
            self.course.broke = false;
            self.start_again(x, 1.0 - 100.0 * T::Real::EPSILON.to_f64())?;
        } else if matches!(step, Step::Doubt(_)) {
            self.iteration.finish(&self.cx, x)?;
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
        self.iteration.finish(&self.cx, x)?;
        self.start(x)?;
        let Estimate { residual, normal } = self.estimate;
        let gained = residual <= expected * before.residual || normal < expected * before.normal;
        self.course.started_again(gained);
        Ok(())
    }

    /// Notes the residual, tells the monitor, and hands out a snapshot if it is time.
    fn record(&mut self, x: &mut Vector<T>) -> Result<()> {
        let [residual, target] =
            [self.estimate.residual, self.report.target].map(|norm| scaled(norm, self.cx.residual_power()));
        self.report.history.push(residual);
        self.course.tell(residual, target, &self.cx.wishes);
        self.course.meet(&self.cx.wishes, self.cx.b.comm())?;
        self.hand_out(x)
    }

    /// Gives the monitor a snapshot if it is time.
    fn hand_out(&mut self, x: &mut Vector<T>) -> Result<()> {
        if !self.course.is_due(&self.cx.wishes) {
            return Ok(());
        }
        let mut snapshot = Snapshot::new(self.cx.method);
        self.cx.save_powers(&mut snapshot);
        self.archive(&mut Archive::Save(&mut snapshot), x);
        self.course.deliver(snapshot, self.cx.b.comm())
    }

    /// Takes the state from a snapshot.
    fn load(&mut self, snapshot: &Snapshot<T>, x: &mut Vector<T>) -> Result<()> {
        let mut archive = Archive::load(snapshot, self.cx.method);
        self.archive(&mut archive, x);
        archive.agree(self.cx.b.comm())?;
        self.has_taken_x = true;
        if self.course.is_true {
            // A solve may end on this residual, and the right-hand side may not be the snapshot's: the
            // start is made once more, and not counted since it was before.
            let counts = [self.cx.applications.get(), self.cx.preconditionings.get()];
            self.start(x)?;
            self.cx.applications.set(counts[0]);
            self.cx.preconditionings.set(counts[1]);
        }
        Ok(())
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>, x: &mut Vector<T>) {
        archive.solution("x", x, self.cx.solution_power());
        archive.vector("r", &mut self.r);
        self.course.archive(archive);
        archive.series("history", &mut self.report.history);
        for (name, count) in [("applications", &self.cx.applications), ("preconditionings", &self.cx.preconditionings)]
        {
            let mut value = count.get();
            archive.integer(name, &mut value);
            count.set(value);
        }
        let mut operator_norm = self.cx.operator_norm.get();
        archive.real("operator norm", &mut operator_norm);
        self.cx.operator_norm.set(operator_norm);
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
        if !self.course.is_true {
            if reason != StopReason::NotFinite {
                self.iteration.finish(&self.cx, x)?;
            }
            self.compute_residual(x)?;
        }
        let mut reason = reason;
        if let Some(end) = self.iteration.retreat(x, self.estimate.residual)? {
            reason = end;
            self.compute_residual(x)?;
            if let Some(last) = self.report.history.last_mut() {
                *last = scaled(self.estimate.residual, self.cx.residual_power());
            }
        }
        let Signs { finite, hidden, met, .. } = self.signs();
        self.report.reason = if finite && met && !hidden { StopReason::Converged } else { self.cause(reason)? };
        self.course.end(self.cx.b.comm())?;
        self.report.iterations = self.course.iterations;
        self.report.applications = self.cx.applications.get();
        self.report.preconditionings = self.cx.preconditionings.get();
        Ok(())
    }

    /// Returns the report in the user's units, in which its history is.
    fn into_report(self) -> SolveReport {
        let Drive { cx, report, .. } = self;
        SolveReport {
            rhs_norm: scaled(report.rhs_norm, cx.rhs_power()),
            target: scaled(report.target, cx.residual_power()),
            true_residual: scaled(report.true_residual, cx.rhs_power()),
            normal_residual: report.normal_residual.map(|normal| scaled(normal, cx.normal_power())),
            ..report
        }
    }

    /// Finds the cause of a failure for `reason`.
    fn cause(&self, reason: StopReason) -> Result<StopReason> {
        let suspect = I::NEEDS != Needs::Nothing && is_suspect(reason, &self.report.history);
        let violation = if suspect { violation(&self.cx, I::NEEDS)? } else { None };
        Ok(violation.unwrap_or(reason))
    }
}

/// Returns the size of a residual, whose Euclidean norm is known, in the requested norm.
fn measure<T: Scalar>(cx: &Context<'_, T>, r: &Vector<T>, euclidean: f64, z: Option<&mut Vector<T>>) -> Result<f64> {
    let (false, Some(z)) = (cx.norm == Norm::True, z) else {
        return Ok(euclidean);
    };
    cx.precondition(r, z)?;
    if cx.norm == Norm::Preconditioned {
        return Ok(z.norm2());
    }
    let [energy] = cx.dots([(r, z)])?;
    Ok(energy.re().sqrt())
}
