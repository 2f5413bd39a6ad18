//! New values for a known pattern.

use crate::block_csr::matrix::BlockCsrMatrix;
use crate::csr::{Duplicates, RefillPlan};
use crate::error::Result;
use crate::index::Gid;
use crate::profile;
use crate::scalar::Scalar;

impl<T: Scalar> BlockCsrMatrix<T> {
    /// Plans to refill a matrix of this pattern from blocks at these places (global block row,
    /// global block column), given on any rank in the order in which the blocks will come.
    ///
    /// # Collective
    /// A sparse exchange of the places in other ranks' rows.
    ///
    /// # Errors
    /// A place, given on any rank, that is outside the matrix or not in its pattern.
    pub fn plan_refill(
        &self,
        places: impl IntoIterator<Item = (Gid, Gid)>,
        duplicates: Duplicates,
    ) -> Result<RefillPlan> {
        let _event = profile::operation("MatRefillPlan");
        let slot = |row, column| self.slot(row, column);
        RefillPlan::new(&self.shape, self.local_blocks(), slot, places, duplicates)
    }

    /// Replaces all values by blocks whose places were planned, in the same order, one after the
    /// other and each by columns; blocks that get none become zero.
    ///
    /// # Collective
    /// A sparse exchange of the blocks for other ranks' rows.
    ///
    /// # Errors
    /// A plan for another pattern, or not one block for each place, on any rank; the matrix is then
    /// unchanged.
    pub fn refill(&mut self, plan: &RefillPlan, blocks: &[T]) -> Result<()> {
        let _event = profile::operation("MatRefill");
        let len = self.order() * self.order();
        let received = plan.exchange(&self.shape, blocks, len)?;
        self.adjoint.take();
        plan.contributions().fill([blocks, &received], len, 0, self.local.values_mut());
        Ok(())
    }
}
