//! [`Drawn`]: a tensor that lies nowhere. Its elements are made where they are read, a stretch at a time.

/// Makes elements: `write(first, out)` writes those from the `first` on. Threads write different ones, and the same
/// element is the same each time.
pub type Draw<'a> = dyn Fn(usize, &mut [u64]) + Sync + 'a;

/// Elements that are made where a product reads them: a mask that would take more memory than it is worth. Products
/// read each of them once.
#[derive(Clone, Copy)]
pub struct Drawn<'a> {
    write: &'a Draw<'a>,
    bits: u32,
    /// The first element that is meant.
    first: usize,
    len: usize,
}

impl<'a> Drawn<'a> {
    /// So many elements of Z_2^`bits`, of which what lies above the ring is nothing to it.
    pub fn new(len: usize, bits: u32, write: &'a Draw<'a>) -> Drawn<'a> {
        Drawn { write, bits, first: 0, len }
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bits of each of them that mean something.
    pub(crate) fn each(&self) -> u32 {
        self.bits
    }

    /// All from the `first` on.
    pub(crate) fn from(self, first: usize) -> Drawn<'a> {
        assert!(first <= self.len, "element {first} of {}", self.len);
        Drawn { first: self.first + first, len: self.len - first, ..self }
    }

    /// Makes the elements from the `first` on.
    pub(crate) fn read(&self, first: usize, out: &mut [u64]) {
        assert!(out.len() <= self.len && first <= self.len - out.len(), "{} from {first} on", out.len());
        (self.write)(self.first + first, out);
    }
}

impl std::fmt::Debug for Drawn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drawn").field("len", &self.len).field("bits", &self.bits).finish_non_exhaustive()
    }
}
