//! Graphs in TensorFlow's form, byte by byte.

/// A graph in TensorFlow's form: nodes of a name, an operation, and operands.
pub(crate) fn graph(nodes: &[(&str, &str, &[&str])]) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let mut file = Vec::new();
    for (name, op, inputs) in nodes {
        let mut node = [field(1, name.as_bytes()), field(2, op.as_bytes())].concat();
        node.extend(inputs.iter().flat_map(|input| field(3, input.as_bytes())));
        if *op == "Placeholder" {
            // dtype: float; shape: [2, 3].
            let dtype = [field(1, b"dtype"), field(2, &[6 << 3, 1])].concat();
            let dims = [field(2, &[1 << 3, 2]), field(2, &[1 << 3, 3])].concat();
            let shape = [field(1, b"shape"), field(2, &field(7, &dims))].concat();
            node.extend([field(5, &dtype), field(5, &shape)].concat());
        }
        file.extend(field(1, &node));
    }
    file
}
