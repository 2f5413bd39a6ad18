#![allow(unsafe_code)]
//! The calls of the HDF5 library that tell what lies outside a file, and that open objects without following
//! links out of it.

use super::refusal::link_refusal;
use hdf5::plist::DatasetCreate;
use hdf5::sync::sync;
use hdf5::{Group, Location};
use hdf5_sys::h5::{herr_t, hsize_t};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5l::{H5Lexists, H5Lget_val, H5Lunpack_elink_val};
use hdf5_sys::h5o::H5Oopen;
use hdf5_sys::h5p::{
    H5P_CLS_LINK_ACCESS, H5P_DEFAULT, H5Pclose, H5Pcreate, H5Pget_external, H5Pget_external_count,
    H5Pget_virtual_count, H5Pget_virtual_filename, H5Pget_virtual_vspace, H5Pset_elink_cb,
};
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr;

/// The longest name of a file that is read.
const LONGEST: usize = 4096;

/// Resolution of names: where links out of the file are refused, the file that one led to.
struct Access {
    list: hid_t,
    refused: Box<Option<String>>,
}

impl Access {
    fn new(follow: bool) -> hdf5::Result<Self> {
        let mut refused = Box::new(None);
        // SAFETY: the library is initialized, for the lock is held (sync).
        let list = hdf5::h5check(unsafe { H5Pcreate(*H5P_CLS_LINK_ACCESS) })?;
        let place: *mut Option<String> = &raw mut *refused;
        let access = Self { list, refused };
        if !follow {
            // SAFETY: a valid list; the place lives as long as the list, in a box.
            hdf5::h5check(unsafe { H5Pset_elink_cb(list, Some(refuse), place.cast()) })?;
        }
        Ok(access)
    }

    /// Returns the error of the library, or that a link was refused.
    fn explain(&self, error: hdf5::Error) -> hdf5::Error {
        self.refused.as_ref().as_ref().map_or(error, |file| link_refusal(file).into())
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        // SAFETY: a valid list, closed once.
        unsafe { H5Pclose(self.list) };
    }
}

/// Called by the library before it follows a link out of the file.
extern "C" fn refuse(
    _parent_file: *const c_char,
    _parent_group: *const c_char,
    file: *const c_char,
    _object: *const c_char,
    _flags: *mut c_uint,
    _list: hid_t,
    place: *mut c_void,
) -> herr_t {
    // SAFETY: the name is the library's, ends with a zero and outlives this call.
    let name = unsafe { CStr::from_ptr(file) }.to_string_lossy().into_owned();
    // SAFETY: the place that was given with this function, which nothing else uses during the call.
    unsafe { *place.cast::<Option<String>>() = Some(name) };
    -1
}

/// Opens the group, dataset or type of a name; through links out of the file only if they are to be followed.
pub(in crate::hdf5) fn open(from: &Group, name: &str, follow: bool) -> hdf5::Result<Location> {
    let text = CString::new(name).map_err(|_| "a name with a zero byte")?;
    sync(|| {
        let access = Access::new(follow)?;
        // SAFETY: a valid place and list; the name ends with a zero. The id is new.
        unsafe {
            let id = hdf5::h5check(H5Oopen(from.id(), text.as_ptr(), access.list));
            hdf5::from_id(id.map_err(|error| access.explain(error))?)
        }
    })
}

/// Returns whether there is a link of a name, wherever it leads.
pub(in crate::hdf5) fn exists(from: &Group, name: &str, follow: bool) -> bool {
    let Ok(text) = CString::new(name) else { return false };
    sync(|| {
        let access = Access::new(follow);
        // SAFETY: a valid place and list; the name ends with a zero.
        access.is_ok_and(|access| unsafe { H5Lexists(from.id(), text.as_ptr(), access.list) } > 0)
    })
}

/// The file that an external link leads to.
pub(in crate::hdf5) fn external_link(group: &Group, name: &str) -> hdf5::Result<String> {
    let text = CString::new(name).map_err(|_| "a name with a zero byte")?;
    let mut value = vec![0_u8; 2 * LONGEST];
    sync(|| {
        let room = value.len();
        // SAFETY: a valid group and a name that ends with a zero; at most `room` bytes are written.
        hdf5::h5check(unsafe { H5Lget_val(group.id(), text.as_ptr(), value.as_mut_ptr().cast(), room, H5P_DEFAULT) })?;
        let (mut flags, mut file, mut object) = (0, ptr::null(), ptr::null());
        // A longer value was cut; the library looks for its zeros within the size that it is told.
        value[room - 1] = 0;
        // SAFETY: `value` has `room` bytes; the results point into it.
        unsafe {
            let unpacked =
                H5Lunpack_elink_val(value.as_ptr().cast(), room, &raw mut flags, &raw mut file, &raw mut object);
            hdf5::h5check(unpacked)?;
            Ok(CStr::from_ptr(file).to_string_lossy().into_owned())
        }
    })
}

/// Returns the raw files of a dataset with external storage.
pub(super) fn raw_files(list: &DatasetCreate) -> hdf5::Result<Vec<String>> {
    sync(|| {
        // SAFETY: a valid dataset creation list.
        let count = unsafe { H5Pget_external_count(list.id()) };
        (0..c_uint::try_from(count).unwrap_or(0))
            .map(|index| {
                let mut name: Vec<c_char> = vec![0; LONGEST + 1];
                // SAFETY: an index of the list; at most `LONGEST` bytes are written, so that a zero stays behind
                // them. Offset and size are not asked for.
                unsafe {
                    let (size, place) = (LONGEST, name.as_mut_ptr());
                    hdf5::h5check(H5Pget_external(list.id(), index, size, place, ptr::null_mut(), ptr::null_mut()))?;
                    Ok(CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned())
                }
            })
            .collect()
    })
}

/// Returns the files of the sources of a virtual dataset.
pub(super) fn sources(list: &DatasetCreate) -> hdf5::Result<Vec<String>> {
    sync(|| {
        let mut count = 0;
        // SAFETY: a valid creation list of a virtual dataset; `count` outlives the call.
        hdf5::h5check(unsafe { H5Pget_virtual_count(list.id(), &raw mut count) })?;
        (0..count)
            .map(|index| {
                let mut name: Vec<c_char> = vec![0; LONGEST + 1];
                // SAFETY: an index of the list; at most `LONGEST` bytes are written, with a zero.
                let length = unsafe { H5Pget_virtual_filename(list.id(), index, name.as_mut_ptr(), LONGEST) };
                hdf5::h5check(c_int::try_from(length).unwrap_or(c_int::MAX))?;
                // SAFETY: `name` ends with a zero.
                Ok(unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned())
            })
            .collect()
    })
}

/// The shape of a virtual dataset as it was made; none without sources. The library's own answer opens them.
pub(in crate::hdf5) fn virtual_shape(dataset: &hdf5::Dataset) -> hdf5::Result<Vec<u64>> {
    sync(|| {
        let list = dataset.dcpl()?;
        let mut count = 0;
        // SAFETY: a valid creation list of a virtual dataset; `count` outlives the call.
        hdf5::h5check(unsafe { H5Pget_virtual_count(list.id(), &raw mut count) })?;
        if count == 0 {
            return Ok(Vec::new());
        }
        // SAFETY: an index of the list; the id is new.
        let space: hdf5::Dataspace = unsafe { hdf5::from_id(hdf5::h5check(H5Pget_virtual_vspace(list.id(), 0))?) }?;
        Ok(space.shape().into_iter().map(|length| length as hsize_t).collect())
    })
}
