//! All that is in a file of several objects. What can be read is read, so that a file that is listed is
//! known to be whole.

use std::path::Path;

use dolmen_core::text::escaped;
use dolmen_core::{Blocks, Comm, Layout};
use dolmen_io::checkpoint;
use dolmen_io::fits::{Column, FitsFile, Hdu, HduKind, MapFile};
use dolmen_io::hdf5::{Attribute, Element, ElementType, H5File, Link, Object, Stored};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

use crate::error::Result;
use crate::fits_file;
use crate::hdf5_file::{self, Contents, Found, Objects, find, matrix_of, not_followed, vectors_of};
use crate::info::Told;
use crate::location::Location;

/// The names of the parts of a matrix.
const PARTS: [&str; 6] = ["data", "indices", "indptr", "shape", "ir", "jc"];

/// Values of an attribute that are shown; of longer lists only their number is.
const SHOWN: usize = 1000;

/// The groups and datasets of an HDF5 file; first the one to describe in full, if there is only one.
///
/// # Collective
pub(crate) fn hdf5(comm: &Comm, location: &Location) -> Result<(Option<Location>, Told)> {
    let file = open_verified(comm, &location.file)?;
    let objects = Objects::of(&file)?;
    let Contents { found, unread } = find(&file, &objects);
    let mut faults: HashMap<&str, String> =
        unread.iter().map(|(name, error)| (name.as_str(), error.to_string())).collect();
    let mut readable = Vec::new();
    for found in &found {
        match read(&file, &objects, found)? {
            None => readable.push(found),
            Some(fault) => drop(faults.insert(&found.name, fault)),
        }
    }
    let known: HashMap<&str, &Found> = found.iter().map(|found| (found.name.as_str(), found)).collect();
    let links = objects.all.iter().filter(|object| object.link.is_some()).count();
    let mut lines = vec![format!("HDF5, {} groups and datasets", objects.all.len() - links)];
    let mut list = Vec::new();
    for object in &objects.all {
        let attributes = attributes(object);
        let known = known.get(object.name.as_str()).copied();
        let fault = faults.get(object.name.as_str()).cloned().or_else(|| not_tried(object, known));
        lines.push(format!("{:<28}  {}", object.name, kind(object, known, fault.as_deref())));
        lines.extend(attributes.iter().map(|(name, value)| format!("    @{name} = {}", shown(value))));
        list.push(described(object, known, attributes, fault));
    }
    file.close()?;
    let json = json!({ "format": "HDF5", "objects": list });
    Ok((only(location, &readable), Told { text: joined(&lines), json }))
}

/// Opens a file, unless it is a damaged checkpoint, which HDF5 alone would not find. Of the two signs
/// of one, the damage may have taken the other.
///
/// # Collective
fn open_verified(comm: &Comm, path: &Path) -> Result<H5File> {
    let mut is_one = [u64::from(comm.rank() == 0 && checkpoint::ends_as_one(path))];
    comm.all_reduce_max(&mut is_one);
    if is_one == [1] {
        checkpoint::verify(comm, path)?;
    }
    let file = hdf5_file::open(comm, path)?;
    if is_one == [0] && file.attribute("/", "format")? == Some(Attribute::Text(checkpoint::FORMAT.to_owned())) {
        checkpoint::verify(comm, path)?;
    }
    Ok(file)
}

/// Whether nothing can be said of the data of an object, or of a part of a matrix: they went through a filter that
/// is not there, or lie in another file.
fn is_out_of_reach(objects: &Objects, name: &str) -> bool {
    let parent = name.trim_end_matches('/');
    let parts = PARTS.iter().filter_map(|part| objects.dataset(&format!("{parent}/{part}")));
    let mut stored = parts.chain(objects.dataset(name)).filter_map(|object| object.dataset.as_ref());
    stored.any(|stored| !stored.missing_filters.is_empty() || !stored.outside.is_empty())
}

/// What keeps a dataset from being read whose data are not looked at.
fn not_tried(object: &Object, known: Option<&Found>) -> Option<String> {
    let stored = object.dataset.as_ref().filter(|_| known.is_none())?;
    if !stored.outside.is_empty() {
        return Some(format!("its data lie in another file, {}", stored.outside.join(", ")));
    }
    let missing = stored.missing_filters.join(", ");
    (!missing.is_empty()).then(|| format!("its filter is not installed: {missing}"))
}

/// The only matrix; without one the only vectors.
fn only(location: &Location, found: &[&Found]) -> Option<Location> {
    let of_kind = |is_vectors: bool| found.iter().filter(move |found| found.description.is_vectors == is_vectors);
    let count = |is_vectors| of_kind(is_vectors).count();
    let only = match (count(false), count(true)) {
        (1, _) => of_kind(false).next(),
        (0, 1) => of_kind(true).next(),
        _ => None,
    };
    only.map(|only| Location { file: location.file.clone(), object: Some(only.name.clone()) })
}

/// Reads a matrix or vectors, to see whether they are valid; says why they cannot be used although they may be.
fn read(file: &H5File, objects: &Objects, found: &Found) -> Result<Option<String>> {
    match examine(file, found) {
        Err(error) if is_out_of_reach(objects, &found.name) => Ok(Some(error.to_string())),
        examined => examined,
    }
}

fn examine(file: &H5File, found: &Found) -> Result<Option<String>> {
    if let Some(value) = beyond_floats(file, found)? {
        let kind = if found.description.is_vectors { "vectors" } else { "a matrix" };
        return Ok(Some(format!("cannot be used as {kind} of f64: it holds {value}, beyond 2^53")));
    }
    if found.description.is_vectors {
        vectors_of(file, found, &Layout::uniform(file.comm(), found.description.rows))?;
    } else {
        matrix_of(file, found)?;
    }
    Ok(None)
}

/// The whole number of a matrix or of vectors that is largest in size, if `f64` would not tell it from others.
fn beyond_floats(file: &H5File, found: &Found) -> Result<Option<i128>> {
    let data = if found.description.is_vectors { "" } else { "/data" };
    let name = format!("{}{data}", found.name.trim_end_matches('/'));
    match *file.dataset(&name)?.element_type() {
        ElementType::Integer { bytes: 8, signed: true, .. } => largest::<i64>(file, &name),
        ElementType::Integer { bytes: 8, .. } => largest::<u64>(file, &name),
        _ => Ok(None),
    }
}

/// The number that is largest in size, of all ranks, if it is beyond 2^53.
///
/// # Collective
fn largest<T: Element + Into<i128>>(file: &H5File, name: &str) -> Result<Option<i128>> {
    let dataset = file.dataset(name)?;
    let (mut start, mut count) = (vec![0; dataset.shape().len()], dataset.shape().to_vec());
    if let (Some(start), Some(count)) = (start.first_mut(), count.first_mut()) {
        let rows = Blocks::uniform(*count, file.comm().size()).range(file.comm().rank());
        (*start, *count) = (rows.start, rows.end - rows.start);
    }
    let size = |value: &i128| value.unsigned_abs();
    let mine = dataset.read_slab::<T>(&start, &count)?.into_iter().map(Into::into).max_by_key(size);
    let largest = file.comm().all_gather(mine.unwrap_or(0)).into_iter().max_by_key(size);
    Ok(largest.filter(|value| size(value) > 1 << 53))
}

/// Lines that hold names and values of the file, none of which makes a line of its own.
fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("\n")
}

fn attributes(object: &Object) -> Vec<(String, Value)> {
    let many = |count: usize| (count > SHOWN).then(|| json!(format!("{count} numbers")));
    let value = |value: &Option<Attribute>| match value {
        Some(Attribute::Text(text)) => json!(text),
        Some(Attribute::Integer(value)) => json!(value),
        Some(Attribute::Real(value)) => json!(value),
        Some(Attribute::Reals(values)) => many(values.len()).unwrap_or_else(|| json!(values)),
        Some(Attribute::Integers(values)) => many(values.len()).unwrap_or_else(|| json!(values)),
        // References and other types that are not read.
        _ => Value::Null,
    };
    object.attributes.iter().map(|(name, found)| (name.clone(), value(found))).collect()
}

fn shown(value: &Value) -> String {
    if value.is_null() { "of a type or size that is not read".to_owned() } else { value.to_string() }
}

/// What an object is, in words.
fn kind(object: &Object, known: Option<&Found>, fault: Option<&str>) -> String {
    match &object.link {
        Some(Link::Object(target)) => return format!("link to {target}"),
        Some(Link::External(file)) => return format!("link to another file, {file}, {}", not_followed()),
        Some(_) => return "link to no group or dataset of this file".to_owned(),
        None => {}
    }
    let not_read = fault.map(|fault| format!(", not read: {fault}")).unwrap_or_default();
    let matrix = known.filter(|known| !known.description.is_vectors).map(|known| &known.description);
    match (&object.dataset, matrix) {
        (Some(stored), _) => {
            let shape: Vec<String> = stored.shape.iter().map(u64::to_string).collect();
            let shape = if shape.is_empty() { "scalar".to_owned() } else { shape.join(" x ") };
            let is_unread = known.is_none() && fault.is_none() && !is_part(object);
            let unread = if is_unread { ", not read" } else { &not_read };
            format!("{shape} of {}, {}{unread}", stored.element, layout(stored))
        }
        (None, Some(matrix)) => {
            let (rows, columns, entries, storage) = (matrix.rows, matrix.columns, matrix.entries, &matrix.storage);
            format!("{rows} by {columns} {} matrix of {entries} entries, {storage}{not_read}", matrix.field)
        }
        (None, None) => format!("group{not_read}"),
    }
}

/// Whether a dataset has the name of a part of a matrix.
fn is_part(object: &Object) -> bool {
    let name = object.name.rsplit('/').next().unwrap_or_default();
    PARTS.contains(&name)
}

fn layout(stored: &Stored) -> String {
    let chunk = stored.chunk.as_ref().map(|chunk| format!(" by {chunk:?}")).unwrap_or_default();
    let filters = stored.filters.iter().map(|filter| format!(", {filter}"));
    format!("{}{chunk}{}", stored.layout, filters.collect::<String>())
}

fn described(object: &Object, known: Option<&Found>, attributes: Vec<(String, Value)>, fault: Option<String>) -> Value {
    let matrix = known.is_some_and(|known| !known.description.is_vectors);
    let kind = if object.link.is_some() {
        "link"
    } else if matrix {
        "matrix"
    } else if object.dataset.is_some() {
        "dataset"
    } else {
        "group"
    };
    let attributes: Map<String, Value> = attributes.into_iter().collect();
    let mut described = json!({ "name": object.name, "kind": kind, "attributes": attributes });
    if let Some(stored) = &object.dataset {
        described["shape"] = json!(stored.shape);
        described["type"] = json!(stored.element.to_string());
        described["layout"] = json!(stored.layout);
        described["chunk"] = json!(stored.chunk);
        described["filters"] = json!(stored.filters);
        if !stored.outside.is_empty() {
            described["outside"] = json!(stored.outside);
        }
    }
    if let Some(Link::Object(target)) = &object.link {
        described["target"] = json!(target);
    }
    if let Some(Link::External(file)) = &object.link {
        described["file"] = json!(file);
    }
    if let Some(fault) = fault {
        described["not_read"] = json!(fault);
    }
    if let Some(known) = known {
        described["rows"] = json!(known.description.rows);
        described["cols"] = json!(known.description.columns);
        described["entries"] = json!(known.description.entries);
        described["field"] = json!(known.description.field);
    }
    described
}

/// The units of a FITS file; first its column, if there is only one.
///
/// # Collective
pub(crate) fn fits(comm: &Comm, location: &Location) -> Result<(Option<Location>, Told)> {
    let file = fits_file::open(comm, location)?;
    comm.agree(examine_columns(&file, comm))?;
    let mut lines = vec![format!("FITS, {} header-data units", file.hdus().len())];
    let mut list = Vec::new();
    for hdu in file.hdus() {
        let (name, kind) = (hdu.header().text("EXTNAME").unwrap_or_default(), hdu_kind(hdu));
        let rows = if hdu.kind() == HduKind::BinaryTable { format!(", {} rows", hdu.rows()) } else { String::new() };
        lines.push(format!("HDU {} {name:<12}  {kind}{rows}", hdu.index()));
        let map = healpix(hdu);
        if let Some(map) = &map {
            lines.push(format!("    HEALPix map, nside {}, ordering {}", map["nside"], map["ordering"]));
        }
        lines.extend(hdu.columns().iter().map(column_text));
        let columns: Vec<Value> = hdu.columns().iter().map(column_json).collect();
        let (index, rows) = (hdu.index(), hdu.rows());
        let mut described = json!({ "index": index, "name": name, "kind": kind, "rows": rows, "columns": columns });
        described["healpix"] = map.unwrap_or_default();
        list.push(described);
    }
    let columns: Vec<&Column> = file.hdus().iter().flat_map(Hdu::columns).collect();
    let only = match columns[..] {
        [only] if only.repeat > 0 && only.kind.letter() != 'A' => {
            Some(Location { file: location.file.clone(), object: Some(only.name.clone()) })
        }
        _ => None,
    };
    Ok((only, Told { text: joined(&lines), json: json!({ "format": "FITS", "hdus": list }) }))
}

/// Reads this rank's rows of all columns.
fn examine_columns(file: &FitsFile, comm: &Comm) -> dolmen_io::Result<()> {
    if file.first_table().is_ok_and(|hdu| hdu.header().text("PIXTYPE") == Some("HEALPIX")) {
        MapFile::open(file.path())?;
    }
    for hdu in file.hdus() {
        let rows = Blocks::uniform(hdu.rows(), comm.size()).range(comm.rank());
        for column in hdu.columns() {
            fits_file::examine(file, hdu, column, rows.clone())?;
        }
    }
    Ok(())
}

fn hdu_kind(hdu: &Hdu) -> &'static str {
    match hdu.kind() {
        HduKind::BinaryTable => "binary table",
        HduKind::Image if hdu.header().integer("NAXIS") == Some(0) => "no data",
        HduKind::Image => "image, not read",
        _ => "another extension, not read",
    }
}

/// What makes a table a HEALPix map.
fn healpix(hdu: &Hdu) -> Option<Value> {
    let header = hdu.header();
    let nside = header.integer("NSIDE").filter(|_| hdu.kind() == HduKind::BinaryTable)?;
    let scheme = header.text("INDXSCHM").unwrap_or("IMPLICIT");
    Some(json!({
        "nside": nside,
        "ordering": header.text("ORDERING"),
        "coordinates": header.text("COORDSYS"),
        "polarisation": header.text("POLCCONV"),
        "partial": scheme == "EXPLICIT" || header.text("OBJECT") == Some("PARTIAL"),
    }))
}

fn column_text(column: &Column) -> String {
    let unit = if column.unit.is_empty() { String::new() } else { format!(" [{}]", column.unit) };
    let repeat = if column.repeat == 0 { "varying".to_owned() } else { column.repeat.to_string() };
    format!("    {}{unit}: {repeat} {} a row", column.name, column.kind.letter())
}

fn column_json(column: &Column) -> Value {
    let (name, unit, repeat) = (&column.name, &column.unit, column.repeat);
    json!({ "name": name, "unit": unit, "type": column.kind.letter().to_string(), "repeat": repeat })
}
