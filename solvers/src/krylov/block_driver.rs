//! Driver for a block of right-hand sides: when to stop, and whether to
//! believe it. The rules are those of [`driver`](crate::krylov::driver), column by column; the block
//! continues until the last column is done. Each right-hand side has a power of two of its own.

use std::borrow::Cow;
use std::cell::RefCell;
use std::time::Instant;

use dolmen_core::scaling::scaled;
use dolmen_core::{LinearOperator, MultiVector, Scalar, Snapshot, Vector, profile};

use crate::error::{Error, Result};
use crate::krylov::block_column::Column;
use crate::krylov::powers::{Powers, column_norms, require_norm, scale_entries, scale_solution, vector_power};
use crate::krylov::problem::{Problem, require_same};
use crate::krylov::snapshot_state::Archive;
use crate::krylov::stopping::{ResidualTests, StoppingTest, Votes};
use crate::krylov::symmetry::{Needs, is_due, is_suspect, violation};
use crate::norm::Norm;
use crate::report::SolveReport;
use crate::settings::Settings;
use crate::stop_reason::StopReason;

/// Steps of a block method, on what its driver holds.
pub(crate) trait BlockIteration<T: Scalar> {
    /// Computes the first directions, `W = M R`.
    fn start(drive: &mut BlockDrive<'_, '_, T>) -> Result<()>;

    /// Makes one iteration, or gives the reason for which there is none.
    fn step(drive: &mut BlockDrive<'_, '_, T>, x: &mut MultiVector<T>) -> Result<Option<StopReason>>;
}

/// A block solve under way.
pub(crate) struct BlockDrive<'s, 'a, T: Scalar> {
    method: &'static str,
    pub(crate) settings: &'s Settings<'a, T>,
    stopping: StoppingTest<'s, 'a, T>,
    votes: Votes,
    a: &'s dyn LinearOperator<T>,
    b: Cow<'s, MultiVector<T>>,
    powers: Powers,
    /// Operands times a power of two.
    room: RefCell<Option<MultiVector<T>>>,
    pub(crate) r: MultiVector<T>,
    /// `M R`.
    pub(crate) z: MultiVector<T>,
    pub(crate) directions: MultiVector<T>,
    /// `A` times the directions.
    pub(crate) images: MultiVector<T>,
    pub(crate) columns: Vec<Column>,
    sums: Vec<T::Double>,
    /// The largest relative residual of the last start.
    last_true: f64,
    applications: usize,
    preconditionings: usize,
    /// True if `x` has the units of the solve.
    has_taken_x: bool,
}

/// Refuses operands and settings of a rank.
fn accept<T: Scalar>(
    method: &'static str,
    settings: &Settings<'_, T>,
    a: &dyn LinearOperator<T>,
    b: &MultiVector<T>,
    x: &MultiVector<T>,
) -> Result<()> {
    settings.check(method)?;
    if settings.norm != Norm::True && settings.preconditioner.is_some() {
        return Err(Error::Norm { method, norm: settings.norm });
    }
    require_same(method, "operator", a.domain(), a.range())?;
    require_same(method, "right-hand sides", a.range(), b.layout())?;
    require_same(method, "initial guesses", a.domain(), x.layout())?;
    for inner in [settings.preconditioner, settings.projection].into_iter().flatten() {
        require_same(method, "preconditioner or projection", a.range(), inner.domain())?;
        require_same(method, "preconditioner or projection", a.domain(), inner.range())?;
    }
    let [expected, found] = [b, x].map(|columns| (b.layout().global_len(), columns.columns() as u64));
    if found == expected {
        Ok(())
    } else {
        Err(dolmen_core::Error::Shape { operation: method, expected, found }.into())
    }
}

impl<'s, 'a, T: Scalar> BlockDrive<'s, 'a, T> {
    pub(crate) fn new(
        method: &'static str,
        settings: &'s Settings<'a, T>,
        a: &'s dyn LinearOperator<T>,
        b: &'s MultiVector<T>,
        x: &MultiVector<T>,
    ) -> Result<Self> {
        settings.compare(method, b.comm());
        b.comm().agree(accept(method, settings, a, b, x))?;
        let count = b.columns();
        let zeros = || MultiVector::zeros(b.layout(), count);
        let resumed = settings.resume.map(|snapshot| Powers::resumed(snapshot, count));
        let (powers, saved) = resumed.map_or_else(Default::default, |(powers, saved)| (powers, Some(saved)));
        let mut new = BlockDrive {
            method,
            settings,
            stopping: StoppingTest::new(settings),
            votes: Votes::new(settings, b.comm()),
            a,
            b: Cow::Borrowed(b),
            powers,
            room: RefCell::default(),
            r: b.clone(),
            z: zeros(),
            directions: zeros(),
            images: zeros(),
            columns: Vec::with_capacity(count),
            sums: vec![T::Double::ZERO; count],
            last_true: f64::INFINITY,
            applications: 0,
            preconditionings: 0,
            has_taken_x: false,
        };
        new.take_columns(saved.as_deref())?;
        Ok(new)
    }

    /// Brings each right-hand side to an ordinary size, or to that which was saved.
    fn take_columns(&mut self, saved: Option<&[i32]>) -> Result<()> {
        project(self.settings.projection, &mut self.r)?;
        let mut rhs = Vector::zeros(self.r.layout());
        for j in 0..self.r.columns() {
            self.r.copy_column_to(j, &mut rhs)?;
            let norm = rhs.try_norm2()?;
            require_norm(self.method, &rhs, norm)?;
            let power = saved.map_or_else(|| vector_power::<T>(norm), |saved| saved[j]);
            self.columns.push(Column::new(self.method, self.settings, scaled(norm, -power), power));
            if power != 0 {
                scale_entries(self.b.to_mut().column_mut(j), -power);
            }
        }
        Ok(())
    }

    pub(crate) fn run<I: BlockIteration<T>>(mut self, x: &mut MultiVector<T>) -> Result<Vec<SolveReport>> {
        let start = Instant::now();
        let _event = profile::event(self.method);
        let outcome = self.iterate_to_end::<I>(x);
        let solutions = self.give_back(x);
        let reason = outcome?;
        solutions?;
        Ok(self.into_reports(reason, start))
    }

    /// Brings solutions to the user's units.
    fn give_back(&self, x: &mut MultiVector<T>) -> Result<()> {
        let operator = self.powers.operator.get();
        let powers = self.columns.iter().map(|column| column.power - operator);
        let mut one = Vector::zeros(x.layout());
        for (j, power) in powers.enumerate().filter(|(_, power)| self.has_taken_x && *power != 0) {
            x.copy_column_to(j, &mut one)?;
            scale_solution(self.method, &mut one, power)?;
            x.set_column(j, &one)?;
        }
        Ok(())
    }

    fn iterate_to_end<I: BlockIteration<T>>(&mut self, x: &mut MultiVector<T>) -> Result<StopReason> {
        match self.settings.resume {
            Some(snapshot) => self.load(snapshot, x)?,
            None => self.begin::<I>(x)?,
        }
        let reason = loop {
            if let Some(reason) = self.stopping.verdict(&self.tests(), &self.votes) {
                break reason;
            }
            if let Some(reason) = self.step::<I>(x)? {
                break reason;
            }
        };
        if reason == StopReason::IterationLimit {
            self.stopping.hear_last(&self.votes, self.b.comm())?;
            self.hand_out(x)?;
        }
        if !self.stopping.is_true {
            self.compute_residuals(x)?;
        }
        let suspect = |column: &Column| !column.is_met() && is_suspect(reason, &column.report.history);
        let violation = if self.columns.iter().any(suspect) { self.violation()? } else { None };
        self.stopping.end(self.b.comm())?;
        Ok(violation.unwrap_or(reason))
    }

    /// The first residuals and start.
    fn begin<I: BlockIteration<T>>(&mut self, x: &mut MultiVector<T>) -> Result<()> {
        for (j, column) in self.columns.iter().enumerate() {
            if column.report.rhs_norm == 0.0 {
                x.column_mut(j).fill(T::ZERO);
            }
        }
        self.take_guesses(x)?;
        self.measure_residuals()?;
        self.start_method::<I>()?;
        for column in &mut self.columns {
            column.limit = column.limit.max(self.settings.dtol * column.residual);
        }
        self.record(x)
    }

    /// Takes the user's guesses to the units of the solve; `R = A X`.
    fn take_guesses(&mut self, x: &mut MultiVector<T>) -> Result<()> {
        let sizes = column_norms(x)?;
        let powers: Vec<i32> = sizes.iter().map(|&size| vector_power::<T>(size)).collect();
        for (j, power) in powers.iter().enumerate() {
            scale_entries(x.column_mut(j), -power);
        }
        self.apply_to(x)?;
        if sizes.iter().any(|&size| size > 0.0) && !self.powers.operator.is_known() {
            // The units of x follow from the size of the operator, of which a null space says nothing.
            let (a, b) = (self.a, self.b.as_ref());
            self.applications += 1;
            self.powers.operator.apply(&self.room, b, &mut self.z, |x, y| Ok(a.apply_many(x, y)?))?;
            if !self.powers.operator.is_known() {
                self.powers.operator.set(0);
            }
        }
        self.has_taken_x = true;
        for (j, power) in powers.into_iter().enumerate() {
            let power = power - self.columns[j].power + self.powers.operator.get();
            scale_entries(x.column_mut(j), power);
            scale_entries(self.r.column_mut(j), power);
        }
        Ok(())
    }

    /// Computes the residuals, and starts from them if one is still too large.
    fn start<I: BlockIteration<T>>(&mut self, x: &MultiVector<T>) -> Result<()> {
        self.compute_residuals(x)?;
        self.start_method::<I>()
    }

    fn start_method<I: BlockIteration<T>>(&mut self) -> Result<()> {
        let finite = self.columns.iter().all(|column| column.residual.is_finite());
        if finite && !self.columns.iter().all(Column::is_met) {
            let known: Vec<f64> = self.columns.iter().map(|column| column.residual).collect();
            I::start(self)?;
            self.columns.iter_mut().zip(known).for_each(|(column, known)| column.residual = known);
        }
        Ok(())
    }

    fn compute_residuals(&mut self, x: &MultiVector<T>) -> Result<()> {
        self.apply_to(x)?;
        self.measure_residuals()
    }

    /// Computes `R = A X`.
    fn apply_to(&mut self, x: &MultiVector<T>) -> Result<()> {
        let a = self.a;
        self.applications += 1;
        self.powers.operator.apply(&self.room, x, &mut self.r, |x, y| Ok(a.apply_many(x, y)?))
    }

    /// Computes `R = P (B - R)`, and the norms of its columns.
    fn measure_residuals(&mut self) -> Result<()> {
        self.r.scale(-T::ONE);
        self.r.axpy(T::ONE, &self.b)?;
        project(self.settings.projection, &mut self.r)?;
        let mut one = Vector::zeros(self.b.layout());
        for (j, column) in self.columns.iter_mut().enumerate() {
            self.r.copy_column_to(j, &mut one)?;
            column.residual = one.norm2();
            column.report.true_residual = column.residual;
        }
        self.stopping.is_true = true;
        let unmet = self.columns.iter().filter(|column| !column.is_met());
        self.last_true = unmet.map(Column::relative).fold(0.0, f64::max);
        Ok(())
    }

    /// `A` times the directions.
    pub(crate) fn apply(&mut self) -> Result<()> {
        let a = self.a;
        self.applications += 1;
        self.powers.operator.apply(&self.room, &self.directions, &mut self.images, |x, y| Ok(a.apply_many(x, y)?))
    }

    /// Computes `Z = P M R`.
    pub(crate) fn precondition(&mut self) -> Result<()> {
        match self.settings.preconditioner {
            Some(m) => {
                self.preconditionings += 1;
                let _event = profile::event("PCApply");
                let power = &self.powers.preconditioner;
                power.apply(&self.room, &self.r, &mut self.z, |r, z| Ok(m.apply_many(r, z)?))?;
            }
            None => self.z.copy_from(&self.r)?,
        }
        project(self.settings.projection, &mut self.z)
    }

    /// The norms of the residuals and their energies, in one reduction in which votes ride.
    pub(crate) fn measure(&mut self) -> Result<()> {
        let reduction = self.settings.reduction;
        self.votes.ride(|riders| self.r.column_dots(&self.r, reduction.with(riders), &mut self.sums))?;
        for (column, square) in self.columns.iter_mut().zip(&self.sums) {
            (column.residual, column.energy) = (square.re().sqrt(), square.re());
        }
        if self.settings.preconditioner.is_some() {
            self.r.column_dots(&self.z, reduction, &mut self.sums)?;
            self.columns.iter_mut().zip(&self.sums).for_each(|(column, energy)| column.energy = energy.re());
        }
        Ok(())
    }

    /// Returns true if a residual of an unconverged column has no positive energy.
    pub(crate) fn preconditioner_is_indefinite(&self) -> bool {
        self.settings.preconditioner.is_some()
            && self.columns.iter().any(|column| column.energy < 0.0 || (column.energy == 0.0 && !column.is_met()))
    }

    /// Returns the state of all residuals.
    fn tests(&self) -> ResidualTests {
        let all = |what: fn(&Column) -> bool| self.columns.iter().all(what);
        ResidualTests {
            finite: all(|column| column.residual.is_finite()),
            hidden: false,
            met: all(Column::is_met),
            diverged: !all(|column| column.residual <= column.limit),
        }
    }

    /// Returns one iteration, and a new start where all estimates meet their targets.
    fn step<I: BlockIteration<T>>(&mut self, x: &mut MultiVector<T>) -> Result<Option<StopReason>> {
        self.votes.forget();
        if self.columns.iter().any(|column| !column.is_met() && is_due(&column.report.history))
            && let Some(reason) = self.violation()?
        {
            return Ok(Some(reason));
        }
        if let Some(reason) = I::step(self, x)? {
            return Ok(Some(reason));
        }
        self.stopping.iterations += 1;
        self.stopping.is_true = false;
        if self.columns.iter().all(Column::is_met) {
            let before = self.last_true;
            self.start::<I>(x)?;
            self.stopping.started_again(self.last_true <= 0.5 * before);
        }
        self.record(x)?;
        Ok(None)
    }

    /// Notes the residuals, tells the monitor, and hands out a snapshot if it is time.
    fn record(&mut self, x: &mut MultiVector<T>) -> Result<()> {
        for column in &mut self.columns {
            column.report.history.push(scaled(column.residual, column.power));
        }
        let excess = |column: &&Column| column.residual / column.report.target;
        let worst = self.columns.iter().reduce(|worst, next| if excess(&next) > excess(&worst) { next } else { worst });
        if let Some(worst) = worst {
            let [residual, target] = [worst.residual, worst.report.target].map(|norm| scaled(norm, worst.power));
            self.stopping.tell(residual, target, &self.votes);
        }
        self.stopping.meet(&self.votes, self.b.comm())?;
        self.hand_out(x)
    }

    /// Gives the monitor a snapshot if it is time.
    fn hand_out(&mut self, x: &mut MultiVector<T>) -> Result<()> {
        if !self.stopping.is_due(&self.votes) {
            return Ok(());
        }
        let mut snapshot = Snapshot::new(self.method);
        let columns: Vec<i32> = self.columns.iter().map(|column| column.power).collect();
        self.powers.save(&mut snapshot, &columns);
        self.archive(&mut Archive::Save(&mut snapshot), x);
        self.stopping.deliver(snapshot, self.b.comm())
    }

    fn load(&mut self, snapshot: &Snapshot<T>, x: &mut MultiVector<T>) -> Result<()> {
        let mut archive = Archive::load(snapshot, self.method);
        self.archive(&mut archive, x);
        archive.agree(self.b.comm())?;
        self.has_taken_x = true;
        Ok(())
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>, x: &mut MultiVector<T>) {
        let mut count = self.columns.len();
        archive.integer("columns", &mut count);
        if count != self.columns.len() {
            return archive.refuse("columns");
        }
        let operator = self.powers.operator.get();
        for (name, block) in [("x", x), ("r", &mut self.r), ("directions", &mut self.directions)] {
            let mut one = Vector::zeros(block.layout());
            for (j, column) in self.columns.iter().enumerate() {
                one.owned_mut().copy_from_slice(block.column(j));
                let power = if name == "x" { column.power - operator } else { 0 };
                archive.solution(&format!("{name} {j}"), &mut one, power);
                block.column_mut(j).copy_from_slice(one.owned());
            }
        }
        for (j, column) in self.columns.iter_mut().enumerate() {
            archive.series(&format!("history {j}"), &mut column.report.history);
            let mut numbers = [column.residual, column.limit, column.energy, column.report.true_residual];
            archive.reals(&format!("column {j}"), &mut numbers);
            [column.residual, column.limit, column.energy, column.report.true_residual] = numbers;
        }
        self.stopping.archive(archive);
        archive.integer("applications", &mut self.applications);
        archive.integer("preconditionings", &mut self.preconditionings);
        archive.real("last true residual", &mut self.last_true);
    }

    /// Returns the operator that should be Hermitian and is not.
    fn violation(&mut self) -> Result<Option<StopReason>> {
        let zero = Vector::zeros(self.b.layout());
        let problem = Problem::square(self.method, self.settings, self.a, &zero, &zero);
        problem.begin(Ok(()))?;
        let found = violation(&problem, Needs::Both)?;
        self.applications += problem.applications.get();
        self.preconditionings += problem.preconditionings.get();
        Ok(found)
    }

    /// Returns the reports of a solve that ends for `reason`, in the user's units. A true residual that meets its
    /// target is convergence, whatever ended the solve.
    fn into_reports(self, reason: StopReason, start: Instant) -> Vec<SolveReport> {
        let (iterations, applications, preconditionings) =
            (self.stopping.iterations, self.applications, self.preconditionings);
        let finished = self.columns.into_iter().map(|column| {
            let reason = if column.is_met() { StopReason::Converged } else { reason };
            let time = start.elapsed();
            let Column { report, power, .. } = column;
            let [rhs_norm, target, true_residual] =
                [report.rhs_norm, report.target, report.true_residual].map(|norm| scaled(norm, power));
            SolveReport {
                reason,
                iterations,
                applications,
                preconditionings,
                time,
                rhs_norm,
                target,
                true_residual,
                ..report
            }
        });
        finished.collect()
    }
}

/// Computes `V = P V`.
fn project<T: Scalar>(projection: Option<&dyn LinearOperator<T>>, block: &mut MultiVector<T>) -> Result<()> {
    if let Some(projection) = projection {
        let unprojected = block.clone();
        projection.apply_many(&unprojected, block)?;
    }
    Ok(())
}
