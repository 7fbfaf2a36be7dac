//! Words in memory that processes have in common: read back as they were written, mapped as copied; and what is
//! not as it should be is refused.

use cryptflow_ring::{Common, LinearMap, Misshapen, Words, bilinear_into};

use super::random::Random;

fn tensors() -> Vec<Words> {
    let mut random = Random(11);
    [(0, 20), (1, 32), (5, 64), (63, 31), (64, 33), (1000, 28), (4097, 60), (1003, 43), (9, 56)]
        .map(|(len, bits)| {
            let words =
                random.words(len).iter().map(|word| word & (u64::MAX >> (64 - bits))).collect::<Vec<_>>();
            Words::of_ring(&words, bits)
        })
        .into()
}

fn written(tensors: &[Words]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Common::write(tensors, &mut bytes).unwrap();
    bytes
}

fn same(found: &[Words], tensors: &[Words]) {
    assert_eq!(found.len(), tensors.len());
    for (found, due) in found.iter().zip(tensors) {
        assert_eq!(found.borrowed().bits(), due.borrowed().bits());
        assert_eq!(found.borrowed().widened(), due.borrowed().widened());
    }
}

#[test]
fn what_was_written_is_there() {
    for tensors in [tensors(), vec![]] {
        same(&Common::copied(&written(&tensors)).tensors().unwrap(), &tensors);
    }
}

#[test]
fn products_are_the_same() {
    let mut random = Random(12);
    let map = LinearMap::MatMul { rows: 2, inner: 40, columns: 25 };
    for bits in [30, 50, 64] {
        let w = random.words(1000).iter().map(|word| word & (u64::MAX >> (64 - bits))).collect::<Vec<_>>();
        let (x, own) = (random.words(80), [Words::of_ring(&w, bits)]);
        let common = Common::copied(&written(&own)).tensors().unwrap();
        let [due, found] = [&own[0], &common[0]].map(|w| {
            let mut out = vec![0; 50];
            bilinear_into(&map, &x, w, bits, &mut out).unwrap();
            out
        });
        assert_eq!(found, due);
    }
}

#[test]
fn tables_that_lie_are_refused() {
    let bytes = written(&tensors());
    for len in 0..8 + 16 * 9 {
        assert!(matches!(Common::copied(&bytes[..len / 8 * 8]).tensors(), Err(Misshapen)), "{len} bytes");
    }
    // Of each number of the table, other values: none of them leads out of the memory.
    for at in (0..8 + 16 * 9).step_by(8) {
        for value in [u64::MAX, u64::MAX / 4, u64::MAX / 8 + 1, 1 << 40, 33, 65] {
            let mut bytes = bytes.clone();
            bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
            let found = Common::copied(&bytes).tensors().map(|tensors| tensors.len());
            // Another length, or another number of bits that elements can have, of what the memory holds.
            let harmless = at > 0 && (value == 33 || value == 65 && at % 16 == 8);
            assert!(found.is_err() || harmless, "{value} at {at}: {found:?}");
        }
    }
}

#[cfg(target_os = "linux")]
mod mapped {
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::OwnedFd;

    use cryptflow_ring::Common;
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    use super::{same, tensors, written};

    fn memory(bytes: &[u8], seals: SealFlags) -> OwnedFd {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(memfd_create("test", flags).unwrap());
        file.write_all(bytes).unwrap();
        fcntl_add_seals(&file, seals).unwrap();
        file.into()
    }

    #[test]
    fn it_is_what_a_copy_is() {
        let tensors = tensors();
        let bytes = written(&tensors);
        let memory = memory(&bytes, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW);
        let common = Common::mapped(&memory).unwrap().tensors().unwrap();
        drop(memory);
        same(&common, &Common::copied(&bytes).tensors().unwrap());
        same(&common, &tensors);
    }

    #[test]
    fn memory_that_others_can_change_is_refused() {
        let bytes = written(&tensors());
        for seals in [SealFlags::empty(), SealFlags::WRITE, SealFlags::SHRINK, SealFlags::GROW] {
            assert!(Common::mapped(memory(&bytes, seals)).is_err(), "{seals:?}");
        }
        let file = File::open("/proc/self/exe").unwrap();
        assert!(Common::mapped(file).is_err());
        let nothing = memory(&[], SealFlags::WRITE | SealFlags::SHRINK);
        assert!(Common::mapped(nothing).unwrap().tensors().is_err());
    }
}
