//! What genuine certificates say.

use sev::certs::snp::{Chain, Verifiable as _};

use super::*;

/// What genuine certificates of three products say; each chain holds.
#[test]
fn genuine_certificates() {
    let tcb = |fmc, bootloader, tee, snp, microcode| TcbVersion { fmc, bootloader, tee, snp, microcode };
    let cases = [
        ("vcek_milan.der", Product::Milan, tcb(None, 3, 0, 8, 115), 64),
        ("vcek_genoa.der", Product::Genoa, tcb(None, 10, 0, 23, 84), 64),
        ("vcek_turin.der", Product::Turin, tcb(Some(0), 0, 0, 0, 9), 8),
    ];
    for (name, product, tcb, id) in cases {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/genuine").join(name);
        let vcek = Vcek::parse(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(vcek.product, product, "{name}");
        assert_eq!(vcek.tcb, tcb, "{name}");
        assert_eq!(super::super::chip(&vcek.chip_id).len(), id, "{name}");
        let chain = Chain { ca: authority(product).unwrap(), vek: vcek.certificate };
        chain.verify().unwrap();
    }
}
