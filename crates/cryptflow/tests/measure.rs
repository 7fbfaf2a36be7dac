//! Predicted measurements.

use std::path::Path;

use cryptflow::attest::measure::{Guest, Predicted, file, guest};
use cryptflow_aramis::hex::{self, Hex};

#[test]
fn an_enclaves_signature() {
    let mut bytes = vec![0; 1808];
    bytes[..16].copy_from_slice(&[6, 0, 0, 0, 0xe1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
    bytes[24..40].copy_from_slice(&[1, 1, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 1, 0, 0, 0]);
    bytes[128..512].fill(0xee);
    bytes[928] = 4;
    bytes[960..992].fill(0xab);
    bytes[1024..1028].copy_from_slice(&[7, 0, 9, 1]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("party.sig");
    std::fs::write(&path, &bytes).unwrap();
    let mrsigner = ring::digest::digest(&ring::digest::SHA256, &[0xee; 384]);
    let expected = Predicted::Sgx {
        mrenclave: Hex([0xab; 32]),
        mrsigner: Hex(mrsigner.as_ref().try_into().unwrap()),
        prod_id: 7,
        svn: 265,
        debug: false,
    };
    assert_eq!(file(&path).unwrap(), expected);
    bytes[928] |= 2;
    std::fs::write(&path, &bytes).unwrap();
    assert!(file(&path).unwrap().to_string().contains("ALLOWED"));
    bytes[0] = 7;
    std::fs::write(&path, &bytes).unwrap();
    assert!(file(&path).unwrap_err().to_string().contains("party.sig"));
}

/// The known answers are those of the `sev` crate's tests, whose end of an OVMF this is.
#[test]
fn a_guest() {
    let ovmf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ovmf_AmdSev_suffix.bin");
    let guest_of = |guest_features| Guest {
        ovmf: ovmf.clone(),
        kernel: Some("/dev/null".into()),
        initrd: Some("/dev/null".into()),
        append: Some("console=ttyS0 loglevel=7".to_owned()),
        vcpus: 1,
        vcpu_type: "epyc-v4".to_owned(),
        guest_features,
    };
    let cases = [
        (
            1,
            "6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362f390ef83a92046c042e706363b4b08fa",
        ),
        (
            0x21,
            "803f691094946e42068aaa3a8f9e26a5c89f36f7b73ecfb28c653360fe4b3aba7e534442e7e1e17895dfe778d0228977",
        ),
    ];
    for (features, expected) in cases {
        let expected = Predicted::Snp { measurement: Hex(hex::decode_array(expected).unwrap()) };
        assert_eq!(guest(&guest_of(features)).unwrap(), expected);
    }
    let unknown = Guest { vcpu_type: "486".to_owned(), ..guest_of(1) };
    assert!(guest(&unknown).unwrap_err().to_string().contains("EPYC-Milan"));
    let missing = Guest { ovmf: "/no/such/OVMF.fd".into(), ..guest_of(1) };
    assert!(guest(&missing).unwrap_err().to_string().contains("OVMF.fd"));
}

fn small_guest(ovmf: &Path) -> Guest {
    Guest {
        ovmf: ovmf.into(),
        kernel: Some("/dev/null".into()),
        initrd: None,
        append: None,
        vcpus: 1,
        vcpu_type: "EPYC".to_owned(),
        guest_features: 1,
    }
}

/// Every file that is a little wrong gets an answer.
#[test]
fn a_firmware_that_is_malformed() {
    let ovmf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ovmf_AmdSev_suffix.bin");
    let good = std::fs::read(ovmf).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("OVMF.fd");
    let measure = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        guest(&small_guest(&path))
    };
    let before = measure(&good).unwrap();
    for length in [0, 1, 31, 32, 49, 50, 64, 4095, good.len() - 1] {
        let error = measure(&good[..length]).unwrap_err().to_string();
        assert!(error.contains("OVMF.fd"), "{length}: {error}");
    }
    // The table and the metadata lie at the end, which OVMF pads to a page.
    let (mut refused, mut other) = (0, 0);
    for at in good.len().saturating_sub(1024)..good.len() {
        for value in [0xff, good[at] ^ 1] {
            let mut changed = good.clone();
            changed[at] = value;
            match measure(&changed) {
                Ok(measurement) if changed != good => {
                    assert_ne!(measurement, before, "byte {at} is not measured");
                    other += 1;
                }
                Ok(_) => {}
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 50 && other > 500, "{refused} {other}");
    let none = Guest { vcpus: 0, ..small_guest(&path) };
    assert!(guest(&none).unwrap_err().to_string().contains("processors"));
}
