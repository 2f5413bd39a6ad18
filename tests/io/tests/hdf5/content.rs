//! Groups, attributes and tables.

use dolmen_io::hdf5::{Attribute, H5File, Layout, TableColumn};
use dolmen_tests::{Comm, Folder, TestResult};

pub(crate) fn attributes_and_groups_come_back(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("attributes.h5");
    let file = H5File::create(comm, &path)?;
    file.create_group("observations/scan b")?;
    file.create_group("observations/scan a")?;
    file.create_dataset::<u8>("observations/flags", &[0], &Layout::Contiguous)?;
    file.write_attribute("/", "format", "dolmen-tod")?;
    file.write_attribute("/", "format", "déjà vu")?;
    file.write_attribute("observations/scan a", "sample_rate", 32.5)?;
    file.write_attribute("observations/flags", "bits", -7)?;
    file.write_attribute("observations", "axis", [1.0, 2.0, 3.0].as_slice())?;
    file.close()?;

    let file = H5File::open(comm, &path)?;
    assert_eq!(file.children("observations")?, ["flags", "scan a", "scan b"]);
    assert!(file.exists("observations/scan a") && !file.exists("observations/scan c/d"));
    assert_eq!(file.attribute_text("/", "format")?, "déjà vu");
    assert_eq!(file.attribute_f64("observations/scan a", "sample_rate")?, 32.5);
    assert_eq!(file.attribute_f64("observations/flags", "bits")?, -7.0);
    assert_eq!(file.attribute_i64("observations/flags", "bits")?, -7);
    assert_eq!(file.attribute("observations", "axis")?, Some(Attribute::Reals(vec![1.0, 2.0, 3.0])));
    assert_eq!(file.attribute("observations", "none")?, None);
    assert!(file.dataset("observations/flags")?.read_slab::<u8>(&[0], &[0])?.is_empty());
    for (result, expected) in [
        (file.attribute_f64("/", "format").err(), "attribute format of /: expected a number; found the string"),
        (file.attribute_text("/", "version").err(), "attribute version of /: expected a string; it is missing"),
        (file.attribute_i64("gone", "x").err(), "attribute x of gone: gone does not exist"),
        (file.children("gone").err(), "group gone: does not exist"),
    ] {
        let message = result.ok_or(expected)?.to_string();
        assert!(message.contains(expected), "{message}");
    }
    file.close()?;
    folder.remove(comm);
    Ok(())
}

pub(crate) fn tables_come_back(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("table.h5");
    let columns = vec![
        ("name".to_owned(), TableColumn::Text { bytes: 16, values: vec!["143-5a".into(), "0123456789abcdef".into()] }),
        ("net".to_owned(), TableColumn::Real(vec![6.5e-5, 7.5e-5])),
        ("quaternion".to_owned(), TableColumn::Reals { length: 4, values: (0..8).map(f64::from).collect() }),
        ("order".to_owned(), TableColumn::Integer(vec![-1, i64::MAX])),
    ];
    let file = H5File::create(comm, &path)?;
    file.write_table("detectors", &columns)?;
    // A compiler would leave a gap before the number.
    let odd = vec![
        ("letters".to_owned(), TableColumn::Text { bytes: 3, values: vec!["abc".into(), "d".into()] }),
        ("value".to_owned(), TableColumn::Real(vec![1.5, -2.0])),
    ];
    file.write_table("odd", &odd)?;
    let long = [("name".to_owned(), TableColumn::Text { bytes: 2, values: vec!["abc".into()] })];
    let message = file.write_table("long", &long).expect_err("too long").to_string();
    assert!(message.contains("dataset long: column name: \"abc\" is not a string of 2 bytes"), "{message}");
    file.close()?;

    let file = H5File::open(comm, &path)?;
    assert_eq!(file.read_table("detectors")?, columns);
    assert_eq!(file.read_table("odd")?, odd);
    let some = file.read_table_columns("detectors", &["order", "name", "absent"])?;
    assert_eq!(some, [columns[0].clone(), columns[3].clone()]);
    assert_eq!(file.read_table_columns("detectors", &["absent"])?, []);
    let detectors = file.dataset("detectors")?;
    assert_eq!(detectors.read_member_slab::<f64>("net", &[1], &[1])?, [7.5e-5]);
    let quaternions = detectors.read_member_slab::<[f64; 4]>("quaternion", &[0], &[2])?;
    assert_eq!(quaternions[1], [4.0, 5.0, 6.0, 7.0]);
    file.close()?;
    folder.remove(comm);
    Ok(())
}
