//! What the driver is to single right-hand sides, for a block of them: when to stop, and whether to
//! believe it. The rules are those of [`driver`](crate::krylov::driver), column by column; the block
//! goes on until the last column is done.

use std::time::Instant;

use dolmen_core::{LinearOperator, MultiVector, Real, Scalar, Snapshot, Vector, profile};

use crate::error::Result;
use crate::krylov::block_cg::METHOD;
use crate::krylov::context::require_same;
use crate::krylov::course::{Course, RESERVED, Signs, Wishes};
use crate::krylov::iteration::Archive;
use crate::report::{SolveReport, StopReason};
use crate::settings::{Norm, Settings};

/// A right-hand side and how far its solution has come.
pub(crate) struct Column {
    report: SolveReport,
    /// What is believed of the norm of its residual.
    residual: f64,
    /// The residual above which the solve has diverged.
    limit: f64,
    /// `r* M r`.
    energy: f64,
}

impl Column {
    pub(crate) fn is_met(&self) -> bool {
        self.residual <= self.report.target
    }

    /// Whether an energy of zero is none of rounding: the column has not converged, and its squares do
    /// not underflow.
    pub(crate) fn needs_energy<T: Scalar>(&self) -> bool {
        !self.is_met() && T::Real::from_f64(self.residual * self.residual) > T::Real::ZERO
    }

    /// The residual beside the right-hand side.
    fn relative(&self) -> f64 {
        if self.report.rhs_norm > 0.0 { self.residual / self.report.rhs_norm } else { self.residual }
    }
}

/// A block solve under way.
pub(crate) struct BlockDrive<'s, 'a, T: Scalar> {
    pub(crate) settings: &'s Settings<'a, T>,
    course: Course<'s, 'a, T>,
    wishes: Wishes,
    a: &'s dyn LinearOperator<T>,
    b: &'s MultiVector<T>,
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
}

impl<'s, 'a, T: Scalar> BlockDrive<'s, 'a, T> {
    pub(crate) fn new(
        settings: &'s Settings<'a, T>,
        a: &'s dyn LinearOperator<T>,
        b: &'s MultiVector<T>,
        x: &MultiVector<T>,
    ) -> Result<Self> {
        settings.check(METHOD)?;
        require_same(METHOD, "operator", a.domain(), a.range())?;
        require_same(METHOD, "right-hand sides", a.range(), b.layout())?;
        require_same(METHOD, "initial guesses", a.domain(), x.layout())?;
        for inner in [settings.preconditioner, settings.projection].into_iter().flatten() {
            require_same(METHOD, "preconditioner or projection", a.range(), inner.domain())?;
            require_same(METHOD, "preconditioner or projection", a.domain(), inner.range())?;
        }
        let count = b.columns();
        if x.columns() != count {
            let shape = |columns| (b.layout().global_len(), columns as u64);
            let (expected, found) = (shape(count), shape(x.columns()));
            return Err(dolmen_core::Error::Shape { operation: METHOD, expected, found }.into());
        }
        let zeros = || MultiVector::zeros(b.layout(), count);
        let mut new = BlockDrive {
            settings,
            course: Course::new(settings),
            wishes: Wishes::new(settings, b.comm()),
            a,
            b,
            r: b.clone(),
            z: zeros(),
            directions: zeros(),
            images: zeros(),
            columns: Vec::with_capacity(count),
            sums: vec![T::Double::ZERO; count],
            last_true: f64::INFINITY,
            applications: 0,
            preconditionings: 0,
        };
        project(settings.projection, &mut new.r)?;
        let mut rhs = Vector::zeros(b.layout());
        for column in 0..count {
            new.r.copy_column_to(column, &mut rhs)?;
            let column = Column::new(settings, rhs.norm2().to_f64());
            new.columns.push(column);
        }
        Ok(new)
    }

    pub(crate) fn run(mut self, x: &mut MultiVector<T>) -> Result<Vec<SolveReport>> {
        let start = Instant::now();
        let _event = profile::event(METHOD);
        match self.settings.resume {
            Some(snapshot) => self.load(snapshot, x)?,
            None => self.begin(x)?,
        }
        let reason = loop {
            if let Some(reason) = self.course.verdict(&self.signs(), &self.wishes) {
                break reason;
            }
            if let Some(reason) = self.step(x)? {
                break reason;
            }
        };
        if reason == StopReason::IterationLimit {
            self.course.hear_last(&self.wishes, self.b.comm())?;
            self.hand_out(x)?;
        }
        self.conclude(reason, x, start)
    }

    /// The first residuals and start.
    fn begin(&mut self, x: &mut MultiVector<T>) -> Result<()> {
        for (j, column) in self.columns.iter().enumerate() {
            if column.report.rhs_norm == 0.0 {
                x.column_mut(j).fill(T::ZERO);
            }
        }
        self.start(x)?;
        for column in &mut self.columns {
            column.limit = column.limit.max(self.settings.dtol * column.residual);
        }
        self.record(x)
    }

    /// Computes the residuals, and starts from them if one is still too large.
    fn start(&mut self, x: &MultiVector<T>) -> Result<()> {
        self.compute_residuals(x)?;
        let finite = self.columns.iter().all(|column| column.residual.is_finite());
        if finite && !self.columns.iter().all(Column::is_met) {
            let known: Vec<f64> = self.columns.iter().map(|column| column.residual).collect();
            self.start_directions()?;
            self.columns.iter_mut().zip(known).for_each(|(column, known)| column.residual = known);
        }
        Ok(())
    }

    fn compute_residuals(&mut self, x: &MultiVector<T>) -> Result<()> {
        self.applications += 1;
        self.a.apply_many(x, &mut self.r)?;
        self.r.scale(-T::ONE);
        self.r.axpy(T::ONE, self.b)?;
        project(self.settings.projection, &mut self.r)?;
        let mut one = Vector::zeros(self.b.layout());
        for (j, column) in self.columns.iter_mut().enumerate() {
            self.r.copy_column_to(j, &mut one)?;
            column.residual = one.norm2();
            column.report.true_residual = column.residual;
        }
        self.course.is_true = true;
        let unmet = self.columns.iter().filter(|column| !column.is_met());
        self.last_true = unmet.map(Column::relative).fold(0.0, f64::max);
        Ok(())
    }

    /// `A` times the directions.
    pub(crate) fn apply(&mut self) -> Result<()> {
        self.applications += 1;
        Ok(self.a.apply_many(&self.directions, &mut self.images)?)
    }

    /// `Z = P M R`.
    pub(crate) fn precondition(&mut self) -> Result<()> {
        match self.settings.preconditioner {
            Some(m) => {
                self.preconditionings += 1;
                let _event = profile::event("PCApply");
                m.apply_many(&self.r, &mut self.z)?;
            }
            None => self.z.copy_from(&self.r)?,
        }
        project(self.settings.projection, &mut self.z)
    }

    /// The norms of the residuals and their energies, in one reduction in which wishes ride.
    pub(crate) fn measure(&mut self) -> Result<()> {
        let reduction = self.settings.reduction;
        self.wishes.ride(|riders| self.r.column_dots_with(&self.r, reduction, &mut self.sums, riders))?;
        for (column, square) in self.columns.iter_mut().zip(&self.sums) {
            (column.residual, column.energy) = (square.re().sqrt(), square.re());
        }
        if self.settings.preconditioner.is_some() {
            self.r.column_dots_with(&self.z, reduction, &mut self.sums, &mut [])?;
            self.columns.iter_mut().zip(&self.sums).for_each(|(column, energy)| column.energy = energy.re());
        }
        Ok(())
    }

    /// Whether some residual that matters has no positive energy.
    pub(crate) fn preconditioner_is_indefinite(&self) -> bool {
        self.settings.preconditioner.is_some()
            && self.columns.iter().any(|column| column.energy < 0.0 || (column.energy == 0.0 && !column.is_met()))
    }

    /// What the residuals say, all of them.
    fn signs(&self) -> Signs {
        let all = |what: fn(&Column) -> bool| self.columns.iter().all(what);
        Signs {
            finite: all(|column| column.residual.is_finite()),
            hidden: false,
            met: all(Column::is_met),
            diverged: !all(|column| column.residual <= column.limit),
        }
    }

    /// One iteration, and a new start where all estimates meet their targets.
    fn step(&mut self, x: &mut MultiVector<T>) -> Result<Option<StopReason>> {
        self.wishes.forget();
        if let Some(reason) = self.iterate(x)? {
            return Ok(Some(reason));
        }
        self.course.iterations += 1;
        self.course.is_true = false;
        if self.columns.iter().all(Column::is_met) {
            let before = self.last_true;
            self.start(x)?;
            self.course.started_again(self.last_true <= 0.5 * before);
        }
        self.record(x)?;
        Ok(None)
    }

    /// Notes the residuals, tells the monitor, and hands out a snapshot if it is time.
    fn record(&mut self, x: &mut MultiVector<T>) -> Result<()> {
        for column in &mut self.columns {
            column.report.history.push(column.residual);
        }
        let excess = |column: &&Column| column.residual / column.report.target;
        let worst = self.columns.iter().reduce(|worst, next| if excess(&next) > excess(&worst) { next } else { worst });
        if let Some(worst) = worst {
            self.course.tell(worst.residual, worst.report.target, &self.wishes);
        }
        self.course.meet(&self.wishes, self.b.comm())?;
        self.hand_out(x)
    }

    /// Gives the monitor a snapshot if it is time.
    fn hand_out(&mut self, x: &mut MultiVector<T>) -> Result<()> {
        if !self.course.is_due(&self.wishes) {
            return Ok(());
        }
        let mut snapshot = Snapshot::new(METHOD);
        self.archive(&mut Archive::Save(&mut snapshot), x);
        self.course.deliver(snapshot, self.b.comm())
    }

    fn load(&mut self, snapshot: &Snapshot<T>, x: &mut MultiVector<T>) -> Result<()> {
        let mut archive = Archive::load(snapshot, METHOD);
        self.archive(&mut archive, x);
        archive.agree(self.b.comm())
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>, x: &mut MultiVector<T>) {
        let mut count = self.columns.len();
        archive.integer("columns", &mut count);
        if count != self.columns.len() {
            return archive.refuse("columns");
        }
        for (name, block) in [("x", x), ("r", &mut self.r), ("directions", &mut self.directions)] {
            let mut one = Vector::zeros(block.layout());
            for j in 0..block.columns() {
                one.owned_mut().copy_from_slice(block.column(j));
                archive.vector(&format!("{name} {j}"), &mut one);
                block.column_mut(j).copy_from_slice(one.owned());
            }
        }
        for (j, column) in self.columns.iter_mut().enumerate() {
            archive.series(&format!("history {j}"), &mut column.report.history);
            let mut numbers = [column.residual, column.limit, column.energy, column.report.true_residual];
            archive.reals(&format!("column {j}"), &mut numbers);
            [column.residual, column.limit, column.energy, column.report.true_residual] = numbers;
        }
        self.course.archive(archive);
        archive.integer("applications", &mut self.applications);
        archive.integer("preconditionings", &mut self.preconditionings);
        archive.real("last true residual", &mut self.last_true);
    }

    /// The reports of a solve that ends for `reason`. A true residual that meets its target is
    /// convergence, whatever ended the solve.
    fn conclude(mut self, reason: StopReason, x: &MultiVector<T>, start: Instant) -> Result<Vec<SolveReport>> {
        if !self.course.is_true {
            self.compute_residuals(x)?;
        }
        self.course.end(self.b.comm())?;
        let (iterations, applications, preconditionings) =
            (self.course.iterations, self.applications, self.preconditionings);
        let finished = self.columns.into_iter().map(|column| {
            let reason = if column.is_met() { StopReason::Converged } else { reason };
            let time = start.elapsed();
            SolveReport { reason, iterations, applications, preconditionings, time, ..column.report }
        });
        Ok(finished.collect())
    }
}

/// `V = P V`.
fn project<T: Scalar>(projection: Option<&dyn LinearOperator<T>>, block: &mut MultiVector<T>) -> Result<()> {
    if let Some(projection) = projection {
        let unprojected = block.clone();
        projection.apply_many(&unprojected, block)?;
    }
    Ok(())
}

impl Column {
    fn new<T>(settings: &Settings<'_, T>, rhs_norm: f64) -> Column {
        let report = SolveReport {
            method: METHOD,
            reason: StopReason::IterationLimit,
            iterations: 0,
            history: Vec::with_capacity(settings.max_iterations.min(RESERVED) + 1),
            norm: Norm::True,
            rhs_norm,
            target: (settings.rtol * rhs_norm).max(settings.atol),
            true_residual: f64::INFINITY,
            normal_residual: None,
            applications: 0,
            preconditionings: 0,
            time: std::time::Duration::ZERO,
        };
        Column { report, residual: f64::INFINITY, limit: settings.dtol * rhs_norm, energy: 0.0 }
    }
}
