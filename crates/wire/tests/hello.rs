//! Hellos and their proofs.

use super::*;

#[test]
fn malformed_hellos_are_refused() {
    let good = encode(Role::Party(2), &[7; 32]);
    assert_eq!(decode(&good), Ok(Role::Party(2)));
    let with = |at: usize, byte: u8| {
        let mut bad = good;
        bad[at] = byte;
        decode(&bad).unwrap_err()
    };
    assert_eq!(with(0, b'G'), HelloError::Foreign);
    assert_eq!(with(8, 9), HelloError::Version(9));
}

#[test]
fn every_role_has_a_code() {
    let roles = (0..255).map(Role::Party).chain([Role::Client]);
    let codes: Vec<u8> = roles.clone().map(Role::code).collect();
    assert_eq!(codes[..5], [0, 1, 2, 4, 5]);
    assert_eq!(codes[255], 3);
    assert!(roles.zip(codes).all(|(role, code)| Role::from_code(code) == role));
}

#[test]
fn proofs_bind_token_roles_nonces_and_direction() {
    let (token, other) = (Token::from_bytes([1; 32]), Token::from_bytes([2; 32]));
    let (a, b) = (encode(Role::Party(0), &[3; 32]), encode(Role::Party(1), &[4; 32]));
    let proof = prove(&token, &a, &b);
    assert_eq!(proof, prove(&token, &a, &b));
    for different in [
        prove(&other, &a, &b),
        prove(&token, &b, &a),
        prove(&token, &encode(Role::Party(2), &[3; 32]), &b),
        prove(&token, &encode(Role::Party(0), &[5; 32]), &b),
        prove(&token, &a, &encode(Role::Party(1), &[5; 32])),
    ] {
        assert_ne!(proof, different);
    }
}

/// A peer that sends back whatever it gets holds no token, and must not pass for one that does.
#[test]
fn an_echo_is_refused() {
    struct Echo(std::collections::VecDeque<u8>);
    impl Read for Echo {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buffer)
        }
    }
    impl Write for Echo {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let token = Token::from_bytes([1; 32]);
    let error = shake_hands(&mut Echo(Default::default()), Role::Client, |_| true, &token, "it");
    assert!(matches!(error, Err(WireError::Connect { .. })), "{error:?}");
}
