//! [`Common`]: words that several processes read in the same memory.
//!
//! A file of memory is filled by one process, sealed, and handed to others, which map it: none of them can change
//! it, nor make it shorter, for as long as it is open anywhere. Many processes that read the same weights then
//! have them once in the processor's third cache.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use crate::packed::Bits;
use crate::words::{Elements, Form, Words};

/// Tensors begin at multiples of this: the lines of a cache.
const ALIGNED: usize = 64;
/// Bytes that the table has for each tensor: its number of elements, and the bits of its words.
const ENTRY: usize = 16;

/// Memory that does not change, with tensors of words in it.
///
/// It begins with the number of tensors, and for each of them its number of elements and the bits of each, 32 or 64
/// for words and others for what is packed: all of these numbers 64 bits long. The tensors follow in order, each at
/// the next multiple of 64 bytes.
pub struct Common(Memory);

enum Memory {
    #[cfg(target_os = "linux")]
    Mapped(mapped::Mapped),
    Copied(Vec<u64>),
}

impl Common {
    /// Writes tensors as they will lie in memory.
    ///
    /// # Errors
    /// Where `out` takes no more.
    pub fn write(tensors: &[Words], out: &mut impl Write) -> io::Result<()> {
        out.write_all(&(tensors.len() as u64).to_ne_bytes())?;
        for words in tensors {
            let words = words.borrowed();
            out.write_all(&(words.len() as u64).to_ne_bytes())?;
            out.write_all(&u64::from(words.bits()).to_ne_bytes())?;
        }
        let mut end = 8 + ENTRY * tensors.len();
        for words in tensors {
            let bytes: &[u8] = match words.borrowed() {
                Elements::Narrow(words) => bytemuck::cast_slice(words),
                Elements::Wide(words) => bytemuck::cast_slice(words),
                Elements::Packed(bits) => bits.whole(),
                // No tensor that lies in memory is one.
                Elements::Drawn(_) => return Err(io::ErrorKind::InvalidInput.into()),
            };
            out.write_all(&[0; ALIGNED][..end.next_multiple_of(ALIGNED) - end])?;
            out.write_all(bytes)?;
            end = end.next_multiple_of(ALIGNED) + bytes.len();
        }
        Ok(())
    }

    /// A file of memory that is sealed against writing and shrinking, mapped.
    ///
    /// # Errors
    /// It is not sealed so, or the system refuses; or is none that seals memory.
    #[cfg(unix)]
    pub fn mapped(file: impl std::os::fd::AsFd) -> io::Result<Common> {
        #[cfg(target_os = "linux")]
        return mapped::Mapped::of(file.as_fd()).map(|mapped| Common(Memory::Mapped(mapped)));
        #[cfg(not(target_os = "linux"))]
        {
            let _ = file;
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// The same in memory of this process alone: what the mapping is tested against.
    pub fn copied(bytes: &[u8]) -> Common {
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        });
        Common(Memory::Copied(words.collect()))
    }

    fn bytes(&self) -> &[u8] {
        match &self.0 {
            #[cfg(target_os = "linux")]
            Memory::Mapped(mapped) => mapped.bytes(),
            Memory::Copied(words) => bytemuck::cast_slice(words),
        }
    }

    /// The tensors.
    ///
    /// # Errors
    /// The memory does not hold what its table says.
    pub fn tensors(self) -> Result<Vec<Words>, Misshapen> {
        let number = |at: usize| {
            let bytes = self.bytes().get(at..at.checked_add(8)?)?.try_into().ok()?;
            usize::try_from(u64::from_ne_bytes(bytes)).ok()
        };
        let count = number(0).ok_or(Misshapen)?;
        let mut end = count.checked_mul(ENTRY).and_then(|table| table.checked_add(8)).ok_or(Misshapen)?;
        let mut places = Vec::new();
        for entry in (0..count).map(|i| 8 + ENTRY * i) {
            let (len, bits) = number(entry).zip(number(entry + 8)).ok_or(Misshapen)?;
            let form = match u32::try_from(bits) {
                Ok(32) => Form::Narrow,
                Ok(64) => Form::Wide,
                Ok(bits @ 1..64) => Form::Packed(bits),
                _ => return Err(Misshapen),
            };
            let begin = end.checked_next_multiple_of(ALIGNED).ok_or(Misshapen)?;
            end = form.bytes(len).and_then(|bytes| begin.checked_add(bytes)).ok_or(Misshapen)?;
            let bytes = self.bytes().get(begin..end).ok_or(Misshapen)?;
            let lies_well = match form {
                Form::Narrow => bytemuck::try_cast_slice::<u8, u32>(bytes).is_ok(),
                Form::Wide => bytemuck::try_cast_slice::<u8, u64>(bytes).is_ok(),
                Form::Packed(_) => true,
            };
            if !lies_well {
                return Err(Misshapen);
            }
            places.push((begin..end, form, len));
        }
        let common = Arc::new(self);
        let place =
            |(range, form, len)| Words::Common(Place { common: Arc::clone(&common), range, form, len });
        Ok(places.into_iter().map(place).collect())
    }
}

impl std::fmt::Debug for Common {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Common").field("bytes", &self.bytes().len()).finish_non_exhaustive()
    }
}

/// Memory in which other processes should have written tensors, and have not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the memory does not hold the tensors that its table says")]
pub struct Misshapen;

/// A tensor in memory that is shared.
#[derive(Clone, Debug)]
pub struct Place {
    common: Arc<Common>,
    range: Range<usize>,
    form: Form,
    len: usize,
}

impl Place {
    pub(crate) fn borrowed(&self) -> Elements<'_> {
        // It was found to be there, and to lie well, when the table was read.
        let bytes = &self.common.bytes()[self.range.clone()];
        match self.form {
            Form::Narrow => Elements::Narrow(bytemuck::cast_slice(bytes)),
            Form::Wide => Elements::Wide(bytemuck::cast_slice(bytes)),
            Form::Packed(bits) => Elements::Packed(Bits::new(bytes, bits, self.len)),
        }
    }
}

#[cfg(target_os = "linux")]
mod mapped {
    #![allow(unsafe_code)]

    use std::io::{self, ErrorKind};
    use std::os::fd::BorrowedFd;
    use std::ptr::{NonNull, null_mut};

    use rustix::fs::{SealFlags, fcntl_get_seals, fstat};
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

    /// A mapping of memory that nobody can write to.
    pub(super) struct Mapped {
        base: NonNull<u8>,
        len: usize,
    }

    // SAFETY: the memory is only ever read, by anybody.
    unsafe impl Send for Mapped {}
    // SAFETY: as above.
    unsafe impl Sync for Mapped {}

    impl Mapped {
        pub(super) fn of(file: BorrowedFd<'_>) -> io::Result<Mapped> {
            let wanted = SealFlags::WRITE | SealFlags::SHRINK;
            if !fcntl_get_seals(file)?.contains(wanted) {
                return Err(io::Error::new(ErrorKind::InvalidInput, "the memory is not sealed"));
            }
            let len = usize::try_from(fstat(file)?.st_size).map_err(io::Error::other)?;
            if len == 0 {
                return Ok(Mapped { base: NonNull::<u64>::dangling().cast(), len });
            }
            // SAFETY: a new mapping, at a place of the system's choice, replaces none.
            let base = unsafe {
                mmap(null_mut(), len, ProtFlags::READ, MapFlags::SHARED | MapFlags::POPULATE, file, 0)
            }?;
            let base = NonNull::new(base.cast()).ok_or(ErrorKind::OutOfMemory)?;
            Ok(Mapped { base, len })
        }

        pub(super) fn bytes(&self) -> &[u8] {
            // SAFETY: `len` bytes are mapped for as long as this value lives, and the seals hold what they say
            // from then on: no process can write to them, or take their pages away.
            unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len) }
        }
    }

    impl Drop for Mapped {
        fn drop(&mut self) {
            if self.len > 0 {
                // SAFETY: the mapping is this value's own, and nobody can borrow from it any more.
                let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
            }
        }
    }
}
