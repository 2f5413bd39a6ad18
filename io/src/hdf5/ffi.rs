#![allow(unsafe_code)]
//! The calls of the HDF5 library that the `hdf5` crate does not offer: transfers of
//! slabs, and a description of any datatype.
//!
//! All run under the lock of the `hdf5` crate, which also keeps the library from
//! printing its error stack.

use super::element::{ByteOrder, ElementType, Member};
use super::filters::StoredFilter;
use super::slab::Slab;
use bytemuck::Pod;
use dolmen_core::memory;
use hdf5::sync::sync;
use hdf5_sys::h5::{H5free_memory, hsize_t};
use hdf5_sys::h5a::{H5Aexists, H5Aread, H5Awrite};
use hdf5_sys::h5d::{H5Dread, H5Dwrite};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5p::{H5P_DEFAULT, H5Pget_filter2, H5Pget_nfilters};
use hdf5_sys::h5s::{H5S_seloper_t, H5Sselect_all, H5Sselect_hyperslab, H5Sselect_none};
use hdf5_sys::h5t::{
    H5T_class_t, H5T_cset_t, H5T_order_t, H5T_sign_t, H5Tconvert, H5Tcopy, H5Tget_array_dims2, H5Tget_array_ndims,
    H5Tget_class, H5Tget_cset, H5Tget_member_name, H5Tget_member_type, H5Tget_nmembers, H5Tget_order, H5Tget_sign,
    H5Tget_size, H5Tget_super, H5Tis_variable_str, H5Tpack,
};
use hdf5_sys::h5z::H5Zfilter_avail;
use std::ffi::{CStr, CString, c_char, c_uint, c_void};
use std::mem::{self, MaybeUninit};
use std::ptr;

/// Initializes the library before MPI, so that finalizing MPI does not terminate it.
///
/// An initialization after MPI's makes the end of MPI close all files and datasets,
/// also those that could not be written, over which HDF5 1.10 crashes. The `hdf5`
/// crate has already seen to it that the end of the process does not close them.
extern "C" fn initialize() {
    sync(|| ());
}

// SAFETY: the section lists functions of this type, which the loader calls once before
// `main`. This one needs nothing that `main` would have set up.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static INITIALIZE: extern "C" fn() = initialize;

/// The memory side of a transfer.
pub(super) enum Buffer<'a> {
    /// Filled from the file.
    Read(&'a mut [u8]),
    /// Filled from the file, which nothing has done before.
    ReadNew(&'a mut [MaybeUninit<u8>]),
    /// Written to the file.
    Write(&'a [u8]),
}

/// Moves a slab between a dataset and memory.
///
/// # Panics
///
/// If the buffer has not the size of the slab's elements in the memory type.
pub(super) fn transfer(
    dataset: &hdf5::Dataset,
    memory_type: &hdf5::Datatype,
    slab: &Slab,
    buffer: Buffer<'_>,
) -> hdf5::Result<()> {
    let elements = usize::try_from(slab.elements()).expect("invariant: the slab is in memory");
    let buffer_bytes = match &buffer {
        Buffer::Read(bytes) => bytes.len(),
        Buffer::ReadNew(bytes) => bytes.len(),
        Buffer::Write(bytes) => bytes.len(),
    };
    let slab_bytes = elements.checked_mul(memory_type.size());
    assert_eq!(Some(buffer_bytes), slab_bytes, "invariant: buffer of the slab's size");
    sync(|| {
        let file_space = dataset.space()?;
        select(&file_space, slab)?;
        let memory_space = hdf5::Dataspace::try_new(elements.max(1))?;
        if elements == 0 {
            // SAFETY: the dataspace is valid.
            hdf5::h5check(unsafe { H5Sselect_none(memory_space.id()) })?;
        }
        let (set, memory) = (dataset.id(), memory_type.id());
        let (inner, outer) = (memory_space.id(), file_space.id());
        let status = match buffer {
            // SAFETY: all ids are valid; the selection has `elements` elements of the
            // memory type, and the buffer has room for exactly as many (asserted).
            Buffer::Read(bytes) => unsafe {
                let start = bytes.as_mut_ptr().cast::<c_void>();
                H5Dread(set, memory, inner, outer, H5P_DEFAULT, start)
            },
            // SAFETY: as above.
            Buffer::ReadNew(bytes) => unsafe {
                let start = bytes.as_mut_ptr().cast::<c_void>();
                H5Dread(set, memory, inner, outer, H5P_DEFAULT, start)
            },
            // SAFETY: as above, and the library only reads the buffer.
            Buffer::Write(bytes) => unsafe {
                let start = bytes.as_ptr().cast::<c_void>();
                H5Dwrite(set, memory, inner, outer, H5P_DEFAULT, start)
            },
        };
        hdf5::h5check(status).map(drop)
    })
}

/// Reads the parts of a slab, one after the other, into new memory, which is not filled with zeros before: for data that
/// are in memory already that would take a third of the time. `None` if the memory does not suffice.
///
/// The dataset has to have all of its data: of elements that were never written the library may leave the memory as it is.
pub(super) fn read_new<T: Pod>(
    dataset: &hdf5::Dataset,
    memory_type: &hdf5::Datatype,
    parts: &[Slab],
) -> hdf5::Result<Option<Vec<T>>> {
    assert_eq!(memory_type.size(), size_of::<T>(), "invariant: the memory type is that of the elements");
    assert!(dataset.storage_size() > 0 && !dataset.is_chunked(), "invariant: all data are stored");
    let count = |part: &Slab| usize::try_from(part.elements()).expect("invariant: the slab is in memory");
    let total = parts.iter().map(count).sum();
    let Some(mut values) = memory::try_with_capacity::<T>(total) else { return Ok(None) };
    let mut rest = &mut values.spare_capacity_mut()[..total];
    for part in parts {
        let (piece, after) = mem::take(&mut rest).split_at_mut(count(part));
        rest = after;
        let bytes = size_of_val(piece);
        // SAFETY: the same memory as bytes, which need no value.
        let piece = unsafe { std::slice::from_raw_parts_mut(piece.as_mut_ptr().cast::<MaybeUninit<u8>>(), bytes) };
        transfer(dataset, memory_type, part, Buffer::ReadNew(piece))?;
    }
    // SAFETY: the library has written all elements of all parts, which any bytes are.
    unsafe { values.set_len(total) };
    Ok(Some(values))
}

/// Elements of one type as those of another.
pub(super) fn convert(bytes: &[u8], from: &hdf5::Datatype, to: &hdf5::Datatype) -> hdf5::Result<Vec<u8>> {
    let elements = bytes.len() / from.size();
    let room = elements * from.size().max(to.size());
    let (mut buffer, mut background) = (bytes.to_vec(), vec![0_u8; room]);
    buffer.resize(room, 0);
    sync(|| {
        let (start, beside) = (buffer.as_mut_ptr().cast::<c_void>(), background.as_mut_ptr().cast::<c_void>());
        // SAFETY: both types are valid, and both buffers have room for this number of elements of either.
        hdf5::h5check(unsafe { H5Tconvert(from.id(), to.id(), elements, start, beside, H5P_DEFAULT) }).map(drop)
    })?;
    buffer.truncate(elements * to.size());
    Ok(buffer)
}

fn select(space: &hdf5::Dataspace, slab: &Slab) -> hdf5::Result<()> {
    assert_eq!(space.ndim(), slab.start.len(), "invariant: the slab has the dataset's dimensions");
    if slab.elements() == 0 {
        // SAFETY: the dataspace is valid.
        hdf5::h5check(unsafe { H5Sselect_none(space.id()) })?;
    } else if slab.start.is_empty() {
        // SAFETY: the dataspace is valid; a scalar has no hyperslabs.
        hdf5::h5check(unsafe { H5Sselect_all(space.id()) })?;
    } else {
        let (start, count): (&[hsize_t], &[hsize_t]) = (&slab.start, &slab.count);
        // SAFETY: the dataspace is valid, and `start` and `count` have one entry for
        // each of its dimensions (asserted); stride and block may be null.
        hdf5::h5check(unsafe {
            H5Sselect_hyperslab(
                space.id(),
                H5S_seloper_t::H5S_SELECT_SET,
                start.as_ptr(),
                ptr::null(),
                count.as_ptr(),
                ptr::null(),
            )
        })?;
    }
    Ok(())
}

/// Describes the elements of a dataset.
pub(super) fn describe(datatype: &hdf5::Datatype) -> hdf5::Result<ElementType> {
    sync(|| {
        let id = datatype.id();
        // SAFETY: `id` is a valid datatype here and below; calls that need a class
        // are made for that class only.
        let (class, bytes) = unsafe { (H5Tget_class(id), H5Tget_size(id)) };
        Ok(match class {
            H5T_class_t::H5T_FLOAT => ElementType::Float { bytes, order: byte_order(id) },
            H5T_class_t::H5T_INTEGER => ElementType::Integer {
                bytes,
                // SAFETY: an integer type.
                signed: unsafe { H5Tget_sign(id) } == H5T_sign_t::H5T_SGN_2,
                order: byte_order(id),
            },
            H5T_class_t::H5T_STRING => {
                // SAFETY: a string type.
                let variable = unsafe { H5Tis_variable_str(id) } > 0;
                // SAFETY: a string type.
                let utf8 = unsafe { H5Tget_cset(id) } == H5T_cset_t::H5T_CSET_UTF8;
                ElementType::Text { bytes: (!variable).then_some(bytes), utf8 }
            }
            // The crate reads values of up to 8 bytes, whatever their size.
            H5T_class_t::H5T_ENUM if bytes == 1 => match datatype.to_descriptor() {
                Ok(hdf5::types::TypeDescriptor::Boolean) => ElementType::Boolean,
                _ => enumeration(id)?,
            },
            H5T_class_t::H5T_ENUM => enumeration(id)?,
            H5T_class_t::H5T_ARRAY => ElementType::Array {
                shape: array_shape(id)?,
                // SAFETY: an array type has a base type; the id is new.
                element: Box::new(describe(&unsafe { hdf5::from_id(H5Tget_super(id)) }?)?),
            },
            H5T_class_t::H5T_COMPOUND => ElementType::Compound { bytes, members: members(id)? },
            H5T_class_t::H5T_VLEN => ElementType::Other("of variable length"),
            H5T_class_t::H5T_OPAQUE => ElementType::Other("opaque"),
            H5T_class_t::H5T_BITFIELD => ElementType::Other("a bit field"),
            H5T_class_t::H5T_REFERENCE => ElementType::Other("a reference"),
            _ => ElementType::Other("of an unknown class"),
        })
    })
}

fn enumeration(id: hid_t) -> hdf5::Result<ElementType> {
    // SAFETY: a valid enumeration has a base type; the id is new.
    let base: hdf5::Datatype = unsafe { hdf5::from_id(hdf5::h5check(H5Tget_super(id))?) }?;
    Ok(ElementType::Enumeration(Box::new(describe(&base)?)))
}

/// Returns a copy of a type without gaps between the members of compounds.
pub(super) fn packed(datatype: &hdf5::Datatype) -> hdf5::Result<hdf5::Datatype> {
    sync(|| {
        // SAFETY: a valid type; the id is new.
        let copy: hdf5::Datatype = unsafe { hdf5::from_id(hdf5::h5check(H5Tcopy(datatype.id()))?) }?;
        // SAFETY: a compound type, which is ours to change.
        if unsafe { H5Tget_class(copy.id()) } == H5T_class_t::H5T_COMPOUND {
            // SAFETY: as above.
            hdf5::h5check(unsafe { H5Tpack(copy.id()) })?;
        }
        Ok(copy)
    })
}

fn byte_order(id: hid_t) -> ByteOrder {
    // SAFETY: a valid numeric datatype.
    match unsafe { H5Tget_order(id) } {
        H5T_order_t::H5T_ORDER_LE => ByteOrder::Little,
        H5T_order_t::H5T_ORDER_BE => ByteOrder::Big,
        _ => ByteOrder::Other,
    }
}

fn array_shape(id: hid_t) -> hdf5::Result<Vec<usize>> {
    // SAFETY: a valid array datatype.
    let dimensions = hdf5::h5check(unsafe { H5Tget_array_ndims(id) })?;
    let dimensions = usize::try_from(dimensions).expect("invariant: checked to be no error");
    let mut shape: Vec<hsize_t> = vec![0; dimensions];
    // SAFETY: `shape` has room for all dimensions.
    hdf5::h5check(unsafe { H5Tget_array_dims2(id, shape.as_mut_ptr()) })?;
    let to_usize = |length| usize::try_from(length).map_err(|_| "array too large".into());
    shape.into_iter().map(to_usize).collect()
}

fn members(id: hid_t) -> hdf5::Result<Vec<Member>> {
    // SAFETY: a valid compound datatype.
    let count = hdf5::h5check(unsafe { H5Tget_nmembers(id) })?;
    let count = c_uint::try_from(count).expect("invariant: checked to be no error");
    (0..count)
        .map(|index| {
            // SAFETY: the index is within the type; the name is ours to free.
            let name = unsafe {
                let name = H5Tget_member_name(id, index);
                if name.is_null() {
                    return Err("a member without a name".into());
                }
                let copy = CStr::from_ptr(name).to_string_lossy().into_owned();
                H5free_memory(name.cast());
                copy
            };
            // SAFETY: the index is within the type; the id is new.
            let member: hdf5::Datatype = unsafe { hdf5::from_id(hdf5::h5check(H5Tget_member_type(id, index))?) }?;
            Ok(Member { name, element: describe(&member)? })
        })
        .collect()
}

/// Returns the filters of a dataset, in their order. The `hdf5` crate's list is empty where it does not understand one,
/// and it panics over more than 32 parameters.
pub(super) fn filters(dataset: &hdf5::Dataset) -> hdf5::Result<Vec<StoredFilter>> {
    sync(|| {
        let list = dataset.dcpl()?;
        // SAFETY: a valid dataset creation list.
        let count = hdf5::h5check(unsafe { H5Pget_nfilters(list.id()) })?;
        let count = c_uint::try_from(count).expect("invariant: checked to be no error");
        (0..count).map(|index| filter(list.id(), index)).collect()
    })
}

fn filter(list: hid_t, index: c_uint) -> hdf5::Result<StoredFilter> {
    let mut name: [c_char; 257] = [0; 257];
    let (mut flags, mut parameter, mut parameters) = (0, 0, 1);
    // SAFETY: a valid dataset creation list and an index within it. The library writes at most `parameters`, one,
    // into `parameter`, and less than the last byte of `name`, which so stays zero.
    let number = hdf5::h5check(unsafe {
        let (name, bytes) = (name.as_mut_ptr(), name.len() - 1);
        let (flags, count, values) = (&raw mut flags, &raw mut parameters, &raw mut parameter);
        H5Pget_filter2(list, index, flags, count, values, bytes, name, ptr::null_mut())
    })?;
    // SAFETY: `name` ends with a zero.
    let stored_name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
    // SAFETY: any number is allowed.
    let is_available = unsafe { H5Zfilter_avail(number) } > 0;
    Ok(StoredFilter { number, stored_name, parameter: (parameters > 0).then_some(parameter), is_available })
}

/// Returns whether an object has an attribute of a name.
pub(super) fn has_attribute(location: &hdf5::Location, name: &str) -> hdf5::Result<bool> {
    let name = CString::new(name).map_err(|_| "a name with a zero byte")?;
    // SAFETY: a valid object, and a name that ends with a zero.
    sync(|| Ok(hdf5::h5check(unsafe { H5Aexists(location.id(), name.as_ptr()) })? > 0))
}

/// Reads an attribute that is one string of fixed length, without its padding.
pub(super) fn read_fixed_text(attribute: &hdf5::Attribute) -> hdf5::Result<String> {
    sync(|| {
        let datatype = attribute.dtype()?;
        let mut bytes = vec![0_u8; datatype.size()];
        assert_eq!(attribute.space()?.size(), 1, "invariant: one string");
        // SAFETY: the attribute has one element (asserted) of the size of its own type,
        // which is the memory type too and the length of the buffer.
        hdf5::h5check(unsafe { H5Aread(attribute.id(), datatype.id(), bytes.as_mut_ptr().cast()) })?;
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(text).trim_end().to_owned())
    })
}

/// Reads all elements of an attribute in a type of fixed size.
pub(super) fn read_attribute(attribute: &hdf5::Attribute, memory_type: &hdf5::Datatype) -> hdf5::Result<Vec<u8>> {
    sync(|| {
        let mut bytes = vec![0_u8; attribute.space()?.size() * memory_type.size()];
        // SAFETY: the buffer has room for all elements in the memory type.
        hdf5::h5check(unsafe { H5Aread(attribute.id(), memory_type.id(), bytes.as_mut_ptr().cast()) })?;
        Ok(bytes)
    })
}

/// Writes all elements of an attribute.
///
/// # Panics
///
/// If the bytes are not those of its elements.
pub(super) fn write_attribute(
    attribute: &hdf5::Attribute,
    memory_type: &hdf5::Datatype,
    bytes: &[u8],
) -> hdf5::Result<()> {
    sync(|| {
        assert_eq!(bytes.len(), attribute.space()?.size() * memory_type.size(), "invariant: bytes of all elements");
        // SAFETY: the buffer has all elements in the memory type (asserted), and the library only reads it.
        hdf5::h5check(unsafe { H5Awrite(attribute.id(), memory_type.id(), bytes.as_ptr().cast()) }).map(drop)
    })
}

/// Reads a slab of strings of variable length. `memory_type` is that of one such string, or of a table's row with one
/// such member alone.
pub(super) fn read_texts(
    dataset: &hdf5::Dataset,
    memory_type: &hdf5::Datatype,
    slab: &Slab,
) -> hdf5::Result<Vec<String>> {
    sync(|| {
        let elements = usize::try_from(slab.elements()).map_err(|_| "too many strings")?;
        let mut pointers = vec![0_u8; elements * size_of::<*const c_char>()];
        transfer(dataset, memory_type, slab, Buffer::Read(&mut pointers))?;
        let text = |bytes: &[u8]| {
            let address = usize::from_ne_bytes(bytes.try_into().expect("invariant: the size of a pointer"));
            let start = ptr::with_exposed_provenance_mut::<c_char>(address);
            if start.is_null() {
                return String::new();
            }
            // SAFETY: the library gives a string that ends with a zero, or null; it is ours to free, once.
            unsafe {
                let text = CStr::from_ptr(start).to_string_lossy().into_owned();
                H5free_memory(start.cast());
                text
            }
        };
        Ok(pointers.chunks_exact(size_of::<*const c_char>()).map(text).collect())
    })
}
