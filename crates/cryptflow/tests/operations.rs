//! The page of operations says what the tables say.

use std::path::Path;

#[test]
fn the_page_is_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let made = cryptflow::operations::page().unwrap();
    if committed != made {
        let first = made.lines().zip(committed.lines().chain(std::iter::repeat(""))).find(|(a, b)| a != b);
        panic!(
            "docs/operations.md is not what the importers' tables give. Make it again:\n    cargo run -p cryptflow -- operations > \
             docs/operations.md\nThe first line that differs: {first:?}"
        );
    }
}
