//! All that is in a file of several objects. What can be read is read, so that a file that is listed is
//! known to be whole.

use dolmen_core::{Comm, Layout};
use dolmen_io::checkpoint;
use dolmen_io::fits::{Column, FitsFile, Hdu, HduKind, MapFile};
use dolmen_io::hdf5::{Attribute, H5File, Object, Stored};
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::fits_file;
use crate::hdf5_file::{Found, find, matrix_of, vectors_of};
use crate::info::Told;
use crate::location::Location;

/// The groups and datasets of an HDF5 file; first the one to describe in full, if there is only one.
///
/// # Collective
pub(crate) fn hdf5(comm: &Comm, location: &Location) -> Result<(Option<Location>, Told)> {
    let file = H5File::open(comm, &location.file)?;
    verify_checkpoint(&file)?;
    let objects = file.objects()?;
    let found = find(&file, &objects)?;
    for found in found.iter().filter(|found| !lacks_filter(&objects, &found.name)) {
        read(&file, found)?;
    }
    let mut lines = vec![format!("HDF5, {} groups and datasets", objects.len())];
    let mut list = Vec::new();
    for object in &objects {
        let attributes = attributes(&file, object);
        let known = found.iter().find(|found| found.name == object.name);
        lines.push(format!("{:<28}  {}", object.name, kind(object, known)));
        lines.extend(attributes.iter().map(|(name, value)| format!("    @{name} = {}", shown(value))));
        list.push(described(object, known, attributes));
    }
    file.close()?;
    let json = json!({ "format": "HDF5", "objects": list });
    let only =
        only(location, &found).filter(|only| !lacks_filter(&objects, only.object.as_deref().unwrap_or_default()));
    Ok((only, Told { text: lines.join("\n"), json }))
}

/// Refuses a damaged checkpoint, which HDF5 alone would not find to be one.
///
/// # Collective
fn verify_checkpoint(file: &H5File) -> Result<()> {
    if file.attribute("/", "format")? == Some(Attribute::Text(checkpoint::FORMAT.to_owned())) {
        checkpoint::verify(file.comm(), file.path())?;
    }
    Ok(())
}

/// Whether data went through a filter that is not there to undo it.
fn lacks_filter(objects: &[Object], name: &str) -> bool {
    let stored = objects.iter().find(|object| object.name == name).and_then(|object| object.dataset.as_ref());
    stored.is_some_and(|stored| !stored.has_filters)
}

/// The only matrix; without one the only vectors.
fn only(location: &Location, found: &[Found]) -> Option<Location> {
    let of_kind = |is_vectors: bool| found.iter().filter(move |found| found.description.is_vectors == is_vectors);
    let count = |is_vectors| of_kind(is_vectors).count();
    let only = match (count(false), count(true)) {
        (1, _) => of_kind(false).next(),
        (0, 1) => of_kind(true).next(),
        _ => None,
    };
    only.map(|only| Location { file: location.file.clone(), object: Some(only.name.clone()) })
}

/// Reads a matrix or vectors, to see whether they are valid.
fn read(file: &H5File, found: &Found) -> Result<()> {
    if found.description.is_vectors {
        vectors_of(file, found, &Layout::uniform(file.comm(), found.description.rows))?;
    } else {
        matrix_of(file, found)?;
    }
    Ok(())
}

fn attributes(file: &H5File, object: &Object) -> Vec<(String, Value)> {
    let value = |name: &String| match file.attribute(&object.name, name) {
        Ok(Some(Attribute::Text(text))) => json!(text),
        Ok(Some(Attribute::Integer(value))) => json!(value),
        Ok(Some(Attribute::Real(value))) => json!(value),
        Ok(Some(Attribute::Reals(values))) => json!(values),
        Ok(Some(Attribute::Integers(values))) => json!(values),
        // References and other types that are not read.
        Ok(_) | Err(_) => Value::Null,
    };
    object.attributes.iter().map(|name| (name.clone(), value(name))).collect()
}

fn shown(value: &Value) -> String {
    if value.is_null() { "of a type that is not read".to_owned() } else { value.to_string() }
}

/// What an object is, in words.
fn kind(object: &Object, known: Option<&Found>) -> String {
    let matrix = known.filter(|known| !known.description.is_vectors).map(|known| &known.description);
    match (&object.dataset, matrix) {
        (Some(stored), _) => {
            let shape: Vec<String> = stored.shape.iter().map(u64::to_string).collect();
            let shape = if shape.is_empty() { "scalar".to_owned() } else { shape.join(" x ") };
            let unread = match known {
                _ if !stored.has_filters => ", not read: the filter is not installed",
                None if !is_part(object) => ", not read",
                _ => "",
            };
            format!("{shape} of {}, {}{unread}", stored.element, layout(stored))
        }
        (None, Some(matrix)) => {
            let (rows, columns, entries, storage) = (matrix.rows, matrix.columns, matrix.entries, &matrix.storage);
            format!("{rows} by {columns} {} matrix of {entries} entries, {storage}", matrix.field)
        }
        (None, None) => "group".to_owned(),
    }
}

/// Whether a dataset has the name of a part of a matrix.
fn is_part(object: &Object) -> bool {
    let name = object.name.rsplit('/').next().unwrap_or_default();
    ["data", "indices", "indptr", "shape", "ir", "jc"].contains(&name)
}

fn layout(stored: &Stored) -> String {
    let chunk = stored.chunk.as_ref().map(|chunk| format!(" by {chunk:?}")).unwrap_or_default();
    let filters = stored.filters.iter().map(|filter| format!(", {filter}"));
    format!("{}{chunk}{}", stored.layout, filters.collect::<String>())
}

fn described(object: &Object, known: Option<&Found>, attributes: Vec<(String, Value)>) -> Value {
    let matrix = known.is_some_and(|known| !known.description.is_vectors);
    let kind = if matrix {
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
    comm.agree(examine(&file, comm))?;
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
    Ok((only, Told { text: lines.join("\n"), json: json!({ "format": "FITS", "hdus": list }) }))
}

/// Reads this rank's rows of all columns.
fn examine(file: &FitsFile, comm: &Comm) -> dolmen_io::Result<()> {
    if file.first_table().is_ok_and(|hdu| hdu.header().text("PIXTYPE") == Some("HEALPIX")) {
        MapFile::open(file.path())?;
    }
    for hdu in file.hdus() {
        let rows = dolmen_core::Blocks::uniform(hdu.rows(), comm.size()).range(comm.rank());
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
