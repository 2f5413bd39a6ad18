//! Writing: every rank formats what it holds, twice. The first time only counts the bytes, which
//! says where in the file each rank's text goes; no rank holds its text in memory. Of a gzip file
//! each rank packs its own text, and the packed pieces follow each other, as that format allows.

use crate::error::{Error, Result};
use crate::files::Symmetry;
use crate::positioned::{PositionedWriter, parts, write_staged};
use dolmen_core::{Comm, CsrMatrix, LinearOperator, MultiVector, Real, Scalar};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};
use std::path::Path;

/// Writes a matrix in coordinate layout. Of a symmetric one, only what `symmetry` asks for.
///
/// Numbers are the shortest that read back as the same bits. A file whose name ends in `.gz` is
/// packed by gzip. It appears under its name when it is complete.
///
/// # Collective
/// With a symmetry, the matrix is transposed once to check that it has it.
///
/// # Errors
/// A matrix without the symmetry; a file that cannot be written.
pub fn write_matrix<T: Scalar>(path: impl AsRef<Path>, matrix: &CsrMatrix<T>, symmetry: Symmetry) -> Result<()> {
    let path = path.as_ref();
    let comm = matrix.range().comm();
    require_symmetry(path, matrix, symmetry)?;
    let stored = |row: u64, column: u64| match symmetry {
        Symmetry::General => true,
        Symmetry::Symmetric | Symmetry::Hermitian => column <= row,
        Symmetry::SkewSymmetric => column < row,
    };
    let mine = matrix.rows().map(|row| row.columns().filter(|&column| stored(row.index(), column)).count() as u64);
    let mut entries = [mine.sum::<u64>()];
    comm.all_reduce_sum(&mut entries);
    let (rows, columns) = (matrix.range().global_len(), matrix.domain().global_len());
    let name = symmetry.to_string().to_ascii_lowercase();
    let header = format!("{BANNER} coordinate {} {name}\n{rows} {columns} {}\n", field::<T>(), entries[0]);
    write(comm, path, &header, 1, |_, text| {
        for row in matrix.rows() {
            for (column, value) in row.entries().filter(|&(column, _)| stored(row.index(), column)) {
                text.index(row.index() + 1)?;
                text.index(column + 1)?;
                text.value(value)?;
            }
        }
        Ok(())
    })
}

/// Writes vectors in array layout, one after the other. [`write_matrix`] says how.
///
/// # Collective
///
/// # Errors
/// A file that cannot be written.
pub fn write_vectors<T: Scalar>(path: impl AsRef<Path>, vectors: &MultiVector<T>) -> Result<()> {
    let (rows, columns) = (vectors.layout().global_len(), vectors.columns());
    let header = format!("{BANNER} array {} general\n{rows} {columns}\n", field::<T>());
    let runs = vectors.layout().runs();
    write(vectors.comm(), path.as_ref(), &header, columns * runs.len(), |section, text| {
        let (column, run) = (section / runs.len(), &runs[section % runs.len()]);
        vectors.column(column)[run.positions.clone()].iter().try_for_each(|&value| text.value(value))
    })
}

const BANNER: &str = "%%MatrixMarket matrix";

fn field<T: Scalar>() -> &'static str {
    if T::COMPLEX { "complex" } else { "real" }
}

/// Refuses a matrix that is not what its upper triangle would be read as.
///
/// # Collective
fn require_symmetry<T: Scalar>(path: &Path, matrix: &CsrMatrix<T>, symmetry: Symmetry) -> Result<()> {
    if symmetry == Symmetry::General {
        return Ok(());
    }
    if matrix.range() != matrix.domain() {
        return Err(Error::argument(path, format!("a {symmetry} matrix has the same layout for rows and columns")));
    }
    let transpose = matrix.transpose()?;
    let different = matrix.rows().zip(transpose.rows()).find(|(row, mirror)| {
        let mirrored = mirror.entries().map(|(column, value)| (column, symmetry.mirrored(value)));
        let diagonal = |(column, value): (u64, T)| column == row.index() && value != symmetry.mirrored(value);
        !row.entries().eq(mirrored) || row.entries().any(diagonal)
    });
    let what = |row| format!("row {row} of the matrix (from 0) is not {symmetry}; write it as a general one");
    matrix.range().comm().agree(different.map_or(Ok(()), |(row, _)| Err(Error::argument(path, what(row.index())))))
}

/// Formats numbers.
struct Text<W> {
    to: W,
    float: zmij::Buffer,
    integer: itoa::Buffer,
}

impl<W: Write> Text<W> {
    fn new(to: W) -> Self {
        Self { to, float: zmij::Buffer::new(), integer: itoa::Buffer::new() }
    }

    fn index(&mut self, index: u64) -> io::Result<()> {
        self.to.write_all(self.integer.format(index).as_bytes())?;
        self.to.write_all(b" ")
    }

    fn value<T: Scalar>(&mut self, value: T) -> io::Result<()> {
        self.real(value.re())?;
        if T::COMPLEX {
            self.to.write_all(b" ")?;
            self.real(value.im())?;
        }
        self.to.write_all(b"\n")
    }

    /// Returns the shortest number that is read back as this one, in its own precision.
    fn real<R: Real>(&mut self, value: R) -> io::Result<()> {
        let number = value.to_f64();
        if size_of::<R>() == size_of::<f32>() {
            return self.to.write_all(self.float.format(<f32 as Real>::from_f64(number)).as_bytes());
        }
        self.to.write_all(self.float.format(number).as_bytes())
    }
}

/// Counts what is written.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a file of a header and this number of sections, in each of which every rank has a part.
///
/// # Collective
fn write(
    comm: &Comm,
    path: &Path,
    header: &str,
    sections: usize,
    part: impl Fn(usize, &mut Text<&mut dyn Write>) -> io::Result<()>,
) -> Result<()> {
    let gzip = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    let whole = |section: usize, to: &mut dyn Write| -> io::Result<()> {
        if section == 0 && comm.rank() == 0 {
            to.write_all(header.as_bytes())?;
        }
        if section < sections { part(section, &mut Text::new(to)) } else { Ok(()) }
    };
    let (mut packed, mut places, mut end) = (Vec::new(), Vec::new(), 0);
    // A file of no vectors still has its header.
    for section in 0..sections.max(1) {
        let length = if gzip {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            whole(section, &mut encoder).expect("invariant: memory takes all that is written");
            packed.push(encoder.finish().expect("invariant: memory takes all that is written"));
            packed[section].len() as u64
        } else {
            let mut counter = Counter(0);
            whole(section, &mut counter).expect("invariant: counting cannot fail");
            counter.0
        };
        let (start, next) = parts(comm, end, length);
        places.push(start);
        end = next;
    }
    write_staged(comm, path, end, |file| {
        for (section, &start) in places.iter().enumerate() {
            let mut writer = PositionedWriter::new(file, start);
            match packed.get(section) {
                Some(packed) => writer.write_all(packed)?,
                None => whole(section, &mut writer)?,
            }
            writer.flush()?;
        }
        Ok(())
    })
}
