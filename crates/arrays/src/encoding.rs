//! How elements lie in the bytes of a file, and their values.

/// How one element lies in memory, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// IEEE half precision.
    Half,
    /// The upper half of a float of single precision.
    Bfloat,
    /// IEEE single precision.
    Single,
    /// IEEE double precision.
    Double,
    /// A signed integer of 8 bits.
    Int8,
    /// A signed integer of 16 bits.
    Int16,
    /// A signed integer of 32 bits.
    Int32,
    /// A signed integer of 64 bits.
    Int64,
    /// An unsigned integer of 8 bits.
    Uint8,
    /// An unsigned integer of 16 bits.
    Uint16,
    /// An unsigned integer of 32 bits.
    Uint32,
    /// An unsigned integer of 64 bits.
    Uint64,
    /// A byte that is zero or not.
    Flag,
}

impl Encoding {
    /// Bytes of an element.
    pub fn width(self) -> usize {
        match self {
            Encoding::Int8 | Encoding::Uint8 | Encoding::Flag => 1,
            Encoding::Half | Encoding::Bfloat | Encoding::Int16 | Encoding::Uint16 => 2,
            Encoding::Single | Encoding::Int32 | Encoding::Uint32 => 4,
            Encoding::Double | Encoding::Int64 | Encoding::Uint64 => 8,
        }
    }

    /// The elements that fill these bytes; what is left over at the end is not read. Numbers that
    /// the computing type cannot hold become the nearest float, or wrap (unsigned integers of 64
    /// bits).
    pub fn read(self, bytes: &[u8]) -> Numbers {
        use Numbers::{Floats, Integers};
        match self {
            Encoding::Single => Floats(each(bytes, f32::from_le_bytes)),
            Encoding::Double => Floats(each(bytes, |b| f64::from_le_bytes(b) as f32)),
            Encoding::Half => Floats(each(bytes, |b| half(u16::from_le_bytes(b)))),
            Encoding::Bfloat => Floats(each(bytes, |b| bfloat(u16::from_le_bytes(b)))),
            Encoding::Int64 => Integers(each(bytes, i64::from_le_bytes)),
            Encoding::Uint64 => Integers(each(bytes, |b| u64::from_le_bytes(b) as i64)),
            Encoding::Int32 => Integers(each(bytes, |b| i32::from_le_bytes(b).into())),
            Encoding::Uint32 => Integers(each(bytes, |b| u32::from_le_bytes(b).into())),
            Encoding::Int16 => Integers(each(bytes, |b| i16::from_le_bytes(b).into())),
            Encoding::Uint16 => Integers(each(bytes, |b| u16::from_le_bytes(b).into())),
            Encoding::Int8 => Integers(each(bytes, |b| i8::from_le_bytes(b).into())),
            Encoding::Uint8 => Integers(each(bytes, |b| u8::from_le_bytes(b).into())),
            Encoding::Flag => Integers(each(bytes, |b| u8::from_le_bytes(b).min(1).into())),
        }
    }
}

/// Numbers as they are computed with.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Numbers with a fraction.
    Floats(Vec<f32>),
    /// Integers and flags.
    Integers(Vec<i64>),
}

impl Numbers {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Numbers::Floats(data) => data.len(),
            Numbers::Integers(data) => data.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn each<T, const W: usize>(bytes: &[u8], read: impl Fn([u8; W]) -> T) -> Vec<T> {
    bytes.as_chunks::<W>().0.iter().map(|&b| read(b)).collect()
}

/// The upper half of a float of single precision.
pub fn bfloat(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// IEEE half precision.
pub fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 31;
    let fraction = u32::from(bits) & 0x3ff;
    match (exponent, fraction) {
        (0, _) => {
            let value = fraction as f32 / (1 << 24) as f32;
            if sign == 0 { value } else { -value }
        }
        (31, _) => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}
