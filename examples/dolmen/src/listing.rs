//! All that is in a file of several objects. What can be read is read, so that a file that is listed is
//! known to be whole.

use std::collections::HashMap;

use dolmen_core::Comm;
use dolmen_core::text::escaped;
use dolmen_io::Location;
use dolmen_io::files::{Found, Hdf5Contents};
use dolmen_io::fits::{Column, FitsFile, Hdu, HduKind};
use dolmen_io::hdf5::{Attribute, Link, Object, Stored};
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::told::Told;

/// Values of an attribute that are shown; of longer lists only their number is.
const SHOWN: usize = 1000;

/// Returns the groups and datasets of an HDF5 file; first the one to describe in full, if there is only one.
///
/// # Collective
pub(crate) fn hdf5(comm: &Comm, location: &Location) -> Result<(Option<Location>, Told)> {
    let contents = Hdf5Contents::open_verified(comm, location)?;
    let mut faults: HashMap<&str, String> =
        contents.unread().iter().map(|(name, error)| (name.as_str(), error.to_string())).collect();
    let mut readable = Vec::new();
    for found in contents.found() {
        match contents.check(found)? {
            None => readable.push(found),
            Some(fault) => drop(faults.insert(&found.name, fault)),
        }
    }
    let known: HashMap<&str, &Found> = contents.found().iter().map(|found| (found.name.as_str(), found)).collect();
    let links = contents.objects().iter().filter(|object| object.link.is_some()).count();
    let mut lines = vec![format!("HDF5, {} groups and datasets", contents.objects().len() - links)];
    let mut list = Vec::new();
    for object in contents.objects() {
        let attributes = attributes(object);
        let known = known.get(object.name.as_str()).copied();
        let fault = faults.get(object.name.as_str()).cloned().or_else(|| contents.unreadable(object));
        lines.push(format!("{:<28}  {}", object.name, kind(&contents, object, known, fault.as_deref())));
        lines.extend(attributes.iter().map(|(name, value)| format!("    @{name} = {}", shown(value))));
        list.push(described(object, known, attributes, fault));
    }
    let json = json!({ "format": "HDF5", "objects": list });
    let only = only(location, &readable);
    contents.close()?;
    Ok((only, Told { text: joined(&lines), json }))
}

/// Returns the only matrix; without one the only vectors.
fn only(location: &Location, found: &[&Found]) -> Option<Location> {
    let of_kind = |is_vectors: bool| found.iter().filter(move |found| found.description.is_vectors() == is_vectors);
    let count = |is_vectors| of_kind(is_vectors).count();
    let only = match (count(false), count(true)) {
        (1, _) => of_kind(false).next(),
        (0, 1) => of_kind(true).next(),
        _ => None,
    };
    only.map(|only| object(location, &only.name))
}

/// Returns an object of the file.
fn object(location: &Location, name: &str) -> Location {
    Location { object: Some(name.to_owned()), ..location.clone() }
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
    if value.is_null() { "(type or size not supported)".to_owned() } else { value.to_string() }
}

/// Describes an object in words.
fn kind(contents: &Hdf5Contents, object: &Object, known: Option<&Found>, fault: Option<&str>) -> String {
    match &object.link {
        Some(Link::Object(target)) => return format!("link to {target}"),
        Some(Link::External(file)) => return format!("link to another file, {file}, {}", contents.not_followed()),
        Some(_) => return "broken link: no such group or dataset in this file".to_owned(),
        None => {}
    }
    let not_read = fault.map(|fault| format!(", not read: {fault}")).unwrap_or_default();
    let matrix = known.filter(|known| !known.description.is_vectors()).map(|known| &known.description);
    match (&object.dataset, matrix) {
        (Some(stored), _) => {
            let shape: Vec<String> = stored.shape.iter().map(u64::to_string).collect();
            let shape = if shape.is_empty() { "scalar".to_owned() } else { shape.join(" x ") };
            let is_unread = known.is_none() && fault.is_none() && !Hdf5Contents::is_part(object);
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

fn layout(stored: &Stored) -> String {
    let chunk = stored.chunk.as_ref().map(|chunk| format!(" by {chunk:?}")).unwrap_or_default();
    let filters = stored.filters.iter().map(|filter| format!(", {filter}"));
    format!("{}{chunk}{}", stored.layout, filters.collect::<String>())
}

fn described(object: &Object, known: Option<&Found>, attributes: Vec<(String, Value)>, fault: Option<String>) -> Value {
    let matrix = known.is_some_and(|known| !known.description.is_vectors());
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
        described["field"] = json!(known.description.field.to_string());
    }
    described
}

/// Returns the units of a FITS file; first its column, if there is only one.
///
/// # Collective
pub(crate) fn fits(comm: &Comm, location: &Location) -> Result<(Option<Location>, Told)> {
    let file = FitsFile::open_on_all_ranks(comm, &location.file)?;
    file.check(comm)?;
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
        [only] if only.repeat > 0 && only.kind.letter() != 'A' => Some(object(location, &only.name)),
        _ => None,
    };
    Ok((only, Told { text: joined(&lines), json: json!({ "format": "FITS", "hdus": list }) }))
}

fn hdu_kind(hdu: &Hdu) -> &'static str {
    match hdu.kind() {
        HduKind::BinaryTable => "binary table",
        HduKind::Image if hdu.header().integer("NAXIS") == Some(0) => "no data",
        HduKind::Image => "image, not read",
        _ => "another extension, not read",
    }
}

/// Describes the HEALPix map of a table, if it has one.
fn healpix(hdu: &Hdu) -> Option<Value> {
    let header = hdu.header();
    let nside = header.integer("NSIDE").filter(|_| hdu.kind() == HduKind::BinaryTable)?;
    let scheme = header.text("INDXSCHM").unwrap_or("IMPLICIT");
    Some(json!({
        "nside": nside,
        "ordering": header.text("ORDERING"),
        "coordinates": header.text("COORDSYS"),
        "polarization": header.text("POLCCONV"),
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
