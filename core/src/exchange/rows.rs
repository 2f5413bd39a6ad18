//! Rows of varying length along a plan: each id has as many columns and values as its owner says.
//!
//! The first import brings lengths, columns and values in one message from each owner, whose size
//! the receiver cannot know. Values alone are imported again with lengths known on both sides.

use bytemuck::Pod;

use super::ExchangePlan;
use crate::index::{Gid, local};

/// Compressed rows of a plan's copies, in local order.
pub(crate) struct ImportedRows<T> {
    /// Entries of row `i` are `starts[i]..starts[i + 1]`.
    pub(crate) starts: Vec<usize>,
    pub(crate) columns: Vec<Gid>,
    pub(crate) values: Vec<T>,
}

impl ExchangePlan {
    /// Copies rows to where their ids are present; `row(position, columns, values)` appends the
    /// entries of an owned id.
    ///
    /// # Collective
    /// One sparse exchange.
    pub(crate) fn import_rows<T: Pod>(
        &self,
        mut row: impl FnMut(usize, &mut Vec<Gid>, &mut Vec<T>),
    ) -> ImportedRows<T> {
        let messages: Vec<(usize, Vec<u64>)> =
            self.routes.askers.iter().map(|share| (share.rank, pack(self.routes.asked(share), &mut row))).collect();
        let received = self.comm.sparse_exchange(&messages);
        let mut rows = ImportedRows { starts: vec![0], columns: Vec::new(), values: Vec::new() };
        assert_eq!(received.len(), self.routes.copies.len(), "invariant: every owner answers");
        for (share, (rank, words)) in self.routes.copies.iter().zip(&received) {
            assert_eq!(share.rank, *rank, "invariant: owners answer those who ask");
            rows.unpack(share.span.len(), words);
        }
        rows
    }

    /// Copies the values of rows once more; `starts` are those of the first import, and
    /// `row(position, values)` appends the values of an owned id, as many as then.
    ///
    /// # Collective
    /// Neighbors only.
    pub(crate) fn import_row_values<T: Pod>(
        &self,
        starts: &[usize],
        mut row: impl FnMut(usize, &mut Vec<T>),
    ) -> Vec<T> {
        self.comm.check("import_row_values", String::new);
        let (me, comm, each) = (self.routes.rank, self.comm.raw(), size_of::<T>());
        let tag = self.comm.next_tag();
        let mut packed = Vec::new();
        let mut sent = Vec::with_capacity(self.routes.askers.len());
        for share in &self.routes.askers {
            let from = packed.len();
            self.routes.asked(share).for_each(|position| row(position, &mut packed));
            sent.push((share.rank, from * each..packed.len() * each));
        }
        let received =
            || self.routes.copies.iter().map(|s| (s.rank, starts[s.span.start] * each..starts[s.span.end] * each));
        let len = starts.last().map_or(0, |&end| end);
        let mut transfers = self.pool.borrow_mut().pop().unwrap_or_default();
        transfers.reset(packed.len() * each, len * each);
        transfers.send_buffer::<T>()[..packed.len()].copy_from_slice(&packed);
        // Own values first: buffers are not to be touched once a message is under way.
        let own = (sent.iter().find(|(rank, _)| *rank == me), received().find(|(rank, _)| *rank == me));
        if let (Some((_, from)), Some((_, to))) = own {
            transfers.keep(from.clone(), to);
        }
        for (rank, to) in received().filter(|(rank, _)| *rank != me) {
            transfers.receive(comm, rank, tag, to);
        }
        for (rank, from) in sent.into_iter().filter(|(rank, _)| *rank != me) {
            transfers.send(comm, rank, tag, from);
        }
        self.comm.require_fit(transfers.wait(), |_| each, |values| format!("import of {values} values of rows"));
        let values = transfers.received::<T>()[..len].to_vec();
        self.pool.borrow_mut().push(transfers);
        values
    }
}

/// Lengths, columns and values of rows, one after the other.
fn pack<T: Pod>(
    positions: impl Iterator<Item = usize>,
    mut row: impl FnMut(usize, &mut Vec<Gid>, &mut Vec<T>),
) -> Vec<u64> {
    let (mut words, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for position in positions {
        let before = columns.len();
        row(position, &mut columns, &mut values);
        words.push((columns.len() - before) as u64);
    }
    words.append(&mut columns);
    words.extend(bytemuck::cast_slice::<T, u8>(&values).chunks(8).map(|bytes| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_ne_bytes(word)
    }));
    words
}

impl<T: Pod> ImportedRows<T> {
    /// Appends `count` rows that were packed.
    fn unpack(&mut self, count: usize, words: &[u64]) {
        let (lengths, words) = words.split_at(count);
        let before = self.columns.len();
        for &length in lengths {
            self.starts.push(self.starts[self.starts.len() - 1] + local(length));
        }
        let entries = self.starts[self.starts.len() - 1] - before;
        let (columns, values) = words.split_at(entries);
        self.columns.extend_from_slice(columns);
        let bytes = &bytemuck::cast_slice::<u64, u8>(values)[..entries * size_of::<T>()];
        self.values.append(&mut bytemuck::pod_collect_to_vec(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_rows_are_unpacked() {
        // Three rows of 2, 0 and 1 entries, of an odd number of bytes.
        let row = |position: usize, columns: &mut Vec<Gid>, values: &mut Vec<f32>| match position {
            4 => (columns.extend([7, 9]), values.extend([1.0, 2.0])).0,
            6 => (columns.push(3), values.push(5.0)).0,
            _ => {}
        };
        let words = pack([4, 5, 6].into_iter(), row);
        assert_eq!(words.len(), 3 + 3 + 2);
        let mut rows = ImportedRows { starts: vec![0, 1], columns: vec![8], values: vec![3.0f32] };
        rows.unpack(3, &words);
        assert_eq!(rows.starts, [0, 1, 3, 3, 4]);
        assert_eq!(rows.columns, [8, 7, 9, 3]);
        assert_eq!(rows.values, [3.0, 1.0, 2.0, 5.0]);
    }
}
