//! Statements of links, and whether they go together.

use cryptflow_party::attested::{Discord, Flow, Statement, consistent};

fn honest() -> Vec<Statement> {
    let flow = |from: usize, to: usize| Flow { messages: 5, digest: [(10 * from + to) as u8; 32] };
    let flows = |i: usize, flow: &dyn Fn(usize) -> Flow| {
        (0..3).map(|j| if i == j { Flow::default() } else { flow(j) }).collect()
    };
    let statement = |i| Statement {
        sent: flows(i, &|j| flow(i, j)),
        received: flows(i, &|j| flow(j, i)),
        inputs: vec![[1; 32], [2; 32], [3; 32]],
    };
    (0..3).map(statement).collect()
}

#[test]
fn every_disagreement_is_found_and_names_its_parties() {
    assert_eq!(consistent(&honest()), Ok(()));
    for i in 0..3 {
        for j in (0..3).filter(|&j| j != i) {
            type Change = fn(&mut Statement, usize);
            let changes: [Change; 4] = [
                |s, j| s.sent[j].digest[31] ^= 1,
                |s, j| s.sent[j].messages += 1,
                |s, j| s.received[j].digest[0] ^= 1,
                |s, j| s.inputs[j][7] ^= 1,
            ];
            for change in changes {
                let mut statements = honest();
                change(&mut statements[i], j);
                let error = consistent(&statements).unwrap_err().to_string();
                assert!(error.contains(&format!("P{i}")) && error.contains(&format!("P{j}")), "{error}");
            }
        }
    }
}

#[test]
fn a_statement_that_leaves_something_out_is_found() {
    let changes: [fn(&mut Statement); 3] =
        [|s| s.sent.truncate(2), |s| s.received.truncate(2), |s| s.inputs.push([9; 32])];
    for change in changes {
        let mut statements = honest();
        change(&mut statements[1]);
        assert_eq!(consistent(&statements), Err(Discord::Incomplete { party: 1, parties: 3 }));
    }
}
